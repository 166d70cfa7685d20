"""Models of ours as those of stable-audio-tools and back, and in its latent diffusion."""

from __future__ import annotations

import copy
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader

import zoo
from tests.checkpoints.test_layouts import random_model, same
from tests.inference.export.test_round_trips import assert_same_networks, randomised
from tests.oracle import import_upstream
from tests.shrunk import shrunk_autoencoder
from tests.upstream_training import upstream_training
from zoo.errors import CheckpointError, ConfigError

pytestmark = pytest.mark.filterwarnings("ignore")


@torch.no_grad()
@pytest.mark.parametrize("name", ["minimal_22k", "dac_44k", "encodec_24k", "dac_vae_44k"])
def test_there_and_back(name):
    ours = randomised(shrunk_autoencoder(name))
    theirs = zoo.interop.to_stable_audio_tools(ours)
    assert type(theirs).__module__ == "stable_audio_tools.models.autoencoders"
    assert not theirs.training
    assert_same_networks(ours, theirs)
    back = zoo.interop.from_stable_audio_tools(theirs)
    assert same(back, ours)
    # Copies: what happens to one is nothing to the others.
    next(theirs.parameters()).add_(1)
    assert same(back, ours)
    learning = {name: weight.requires_grad for name, weight in ours.named_parameters()}
    assert {name: weight.requires_grad for name, weight in back.named_parameters()} == learning


@torch.no_grad()
def test_a_vae_has_the_same_mean_scale_and_sound(tiny):
    ours = random_model()
    theirs = zoo.interop.to_stable_audio_tools(ours)
    audio = torch.randn(2, 2, 64)
    mean, scale = theirs.encoder(audio).chunk(2, dim=1)
    latents, info = ours.encode(audio, return_info=True)
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(mean, latents, **close)
    std = torch.nn.functional.softplus(scale) + 1e-4
    torch.testing.assert_close(std, info["std"], **close)
    torch.testing.assert_close(theirs.decode(mean), ours.decode(latents), **close)


def test_precision_mode_and_config_come_along(tiny):
    factory = import_upstream("stable_audio_tools.models.autoencoders")
    theirs = factory.create_autoencoder_from_config(copy.deepcopy(tiny)).train().double()
    with pytest.raises(ConfigError, match=r"give the content of its model_config\.json"):
        zoo.interop.from_stable_audio_tools(theirs)
    ours = zoo.interop.from_stable_audio_tools(theirs, tiny)
    assert (next(ours.parameters()).dtype, ours.training) == (torch.float64, True)
    assert same(theirs, ours)
    tiny["model"]["encoder"]["config"]["channels"] = 6
    with pytest.raises(CheckpointError, match="AudioAutoencoder given: does not fit"):
        zoo.interop.from_stable_audio_tools(theirs, tiny)
    ours.config = None
    with pytest.raises(ConfigError, match="knows no config"):
        zoo.interop.to_stable_audio_tools(ours)
    with pytest.raises(ConfigError, match=r"encoder\.type: upstream can't build a 'taae'"):
        zoo.interop.to_stable_audio_tools(zoo.from_config(shrunk_autoencoder("taae_44k")))


DIFFUSION: dict[str, Any] = {
    "model_type": "diffusion_cond",
    "sample_rate": 16000,
    "sample_size": 512,
    "model": {
        "io_channels": 3,
        "conditioning": {
            "cond_dim": 32,
            "configs": [
                {"id": "seconds", "type": "number", "config": {"min_val": 0, "max_val": 9}}
            ],
        },
        "diffusion": {
            "type": "dit",
            "cross_attention_cond_ids": ["seconds"],
            "config": {
                "io_channels": 3,
                "embed_dim": 32,
                "depth": 1,
                "num_heads": 1,
                "cond_token_dim": 32,
                "transformer_type": "continuous_transformer",
            },
        },
    },
}


def test_a_step_of_upstreams_latent_diffusion_on_our_model(tmp_path):
    """In its `AutoencoderPretransform`, our own class takes the place of upstream's."""
    pretransforms = import_upstream("stable_audio_tools.models.pretransforms")
    import_upstream("stable_audio_tools.models.autoencoders")
    diffusion = import_upstream("stable_audio_tools.models.diffusion")
    training = upstream_training("diffusion")
    ours, before = random_model(), random_model()
    network = diffusion.create_diffusion_cond_from_config(copy.deepcopy(DIFFUSION))
    network.pretransform = pretransforms.AutoencoderPretransform(ours, scale=2.0)
    wrapper = training.DiffusionCondTrainingWrapper(network, lr=1e-2, use_ema=False)
    torch.manual_seed(0)
    audio = torch.randn(2, 2, 512)
    metadata = [{"seconds": 1.0, "padding_mask": [torch.ones(512)]} for _ in audio]
    with torch.no_grad():
        std = (ours.encode(audio) / 2).std()
    start = {name: weight.clone() for name, weight in network.model.named_parameters()}
    trainer = pl.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(wrapper, DataLoader([(audio, metadata)], batch_size=None))
    assert trainer.global_step == 1
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
    # It learns on our latents, which a VAE's mean makes the same each time, and leaves us alone.
    torch.testing.assert_close(trainer.callback_metrics["train/std_data"], std)
    changed = [not torch.equal(weight, start[n]) for n, weight in network.model.named_parameters()]
    # The others are in front of layers that begin as zeros.
    assert sum(changed) > 3
    assert same(ours, before)
    decoded = network.pretransform.decode(torch.randn(1, 3, 64))
    assert decoded.shape == (1, 2, 512)
