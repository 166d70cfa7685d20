"""Exported models compute the same in the packages that they are for, and come back the same."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import zoo
from tests.checkpoints.test_layouts import same
from tests.oracle import import_upstream
from tests.shrunk import shrunk_autoencoder
from zoo.errors import ConfigError

TOPOLOGIES = (
    "oobleck_vae_44k",
    "stable_audio_1_44k",
    "dac_44k",
    "encodec_24k",
    "encodec_48k",
)
EXACT = {"atol": 1e-5, "rtol": 1e-5}


def randomised(config: Any):
    """A model of which no weight or code is what building it gives."""
    torch.manual_seed(1)
    model = zoo.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
        for name, buffer in model.named_buffers():
            if name.endswith("_codebook.embed"):
                buffer.normal_()
            elif name.endswith(".initted"):
                buffer.fill_(True)
    return model


def mean(model: Any, audio: torch.Tensor) -> torch.Tensor:
    """The latents, of a VAE its means, of our or upstream's model."""
    if model.bottleneck is None or model.is_discrete:
        return model.encode(audio)
    return model.encode(audio, skip_bottleneck=True)[:, : model.latent_dim]


def assert_same_networks(one: Any, other: Any) -> None:
    torch.manual_seed(2)
    audio = 0.3 * torch.randn(1, one.in_channels, 2 * one.downsampling_ratio)
    latents = mean(one, audio)
    torch.testing.assert_close(mean(other, audio), latents, **EXACT)
    torch.testing.assert_close(other.decode(latents), one.decode(latents), **EXACT)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_upstream_opens_what_is_exported_for_it(name, tmp_path):
    model = randomised(shrunk_autoencoder(name))
    zoo.export(model, "stable-audio-tools", tmp_path / "theirs")
    import_upstream("stable_audio_tools.models.autoencoders")
    factory = import_upstream("stable_audio_tools.models.factory")
    utils = import_upstream("stable_audio_tools.models.utils")
    # As its get_pretrained_model does.
    config = json.loads((tmp_path / "theirs" / "model_config.json").read_text())
    assert "published" not in config
    theirs = factory.create_model_from_config(copy.deepcopy(config)).eval()
    theirs.load_state_dict(utils.load_ckpt_state_dict(str(tmp_path / "theirs/model.safetensors")))
    assert_same_networks(model, theirs)
    back = zoo.from_pretrained(tmp_path / "theirs")
    assert same(model, back)
    assert back.config.model == model.config.model


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
def test_diffusers_opens_what_is_exported_for_it(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    config = shrunk_autoencoder("oobleck_vae_44k")
    # There, the width of the first layer is that of the encoder's output.
    config["model"]["encoder"]["config"] |= {"channels": 8, "latent_dim": 8}
    config["model"]["decoder"]["config"]["latent_dim"] = config["model"]["latent_dim"] = 4
    model = randomised(config)
    zoo.export(model, "diffusers", tmp_path / "vae")
    theirs = diffusers.AutoencoderOobleck.from_pretrained(tmp_path / "vae").eval()
    audio = 0.3 * torch.randn(1, 2, 2 * model.downsampling_ratio)
    posterior = theirs.encode(audio).latent_dist
    latents, info = model.encode(audio, return_info=True)
    torch.testing.assert_close(posterior.mode(), latents, **EXACT)
    torch.testing.assert_close(posterior.std, info["std"], **EXACT)
    torch.testing.assert_close(theirs.decode(latents).sample, model.decode(latents), **EXACT)
    assert same(zoo.from_pretrained(tmp_path / "vae"), model)


def test_every_reason_against_diffusers_is_in_one_error(tiny, tmp_path):
    tiny["model"]["encoder"]["config"] |= {"use_snake": False, "antialias_activation": True}
    tiny["model"]["decoder"] |= {"soft_clip": True}
    tiny["model"]["decoder"]["config"] |= {"final_tanh": True, "use_nearest_upsample": True}
    tiny["model"]["decoder"]["config"] |= {"c_mults": [1, 3]}
    with pytest.raises(ConfigError) as error:
        zoo.export(zoo.from_config(tiny), "diffusers", tmp_path / "vae")
    paths = {problem.path.removeprefix("model.") for problem in error.value.problems}
    assert paths == {
        "encoder.config.use_snake",
        "encoder.config.antialias_activation",
        "encoder.config.channels",
        "decoder.soft_clip",
        "decoder.config.final_tanh",
        "decoder.config.use_nearest_upsample",
        "decoder.config.c_mults",
    }
    with pytest.raises(ConfigError, match=r"bottleneck.type: 'rvq'.*\n.*encoder.type: 'seanet'"):
        zoo.export(zoo.from_config(shrunk_autoencoder("encodec_24k")), "diffusers", tmp_path / "v")
    assert not list(tmp_path.iterdir())


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
def test_the_package_encodec_opens_what_came_from_it(tmp_path):
    from tests.checkpoints.test_encodec import KINDS, encodec_config, small_encodec

    theirs = small_encodec(**KINDS[0])
    torch.save(theirs.state_dict(), tmp_path / "codec.th")
    model = zoo.from_config(encodec_config(**KINDS[0]), checkpoint=tmp_path / "codec.th")
    zoo.export(model, "zoo", tmp_path / "ours")
    back = zoo.from_pretrained(tmp_path / "ours")
    other = small_encodec(**KINDS[0])
    for weight in other.parameters():
        weight.zero_()
    # Its own class takes the networks' weights as they are in our file.
    with safe_open(tmp_path / "ours" / "model.safetensors", "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    found = {key: state[key] for key in other.state_dict() if key in state}
    assert len(found) == sum(not key.startswith("quantizer.") for key in other.state_dict())
    other.load_state_dict(found, strict=False)
    audio = torch.randn(1, 1, 120)
    torch.testing.assert_close(back.encoder(audio), other.encoder(audio), **EXACT)
    tokens = theirs.quantizer.vq.encode(theirs.encoder(audio), n_q=3)
    latents, info = back.encode(audio, return_info=True)
    assert torch.equal(info["quantizer_indices"], tokens.transpose(0, 1))
    torch.testing.assert_close(back.decode(latents), other.decoder(latents), **EXACT)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
def test_the_package_dac_computes_what_we_export(tmp_path):
    from tests.checkpoints.test_published import small_dac

    theirs = small_dac(tmp_path / "weights.pth")
    zoo.export(tmp_path / "weights.pth", "zoo", tmp_path / "ours")
    back = zoo.from_pretrained(tmp_path / "ours")
    audio = torch.randn(1, 1, 160)
    expected, tokens, *_ = theirs.encode(audio)
    latents, info = back.encode(audio, return_info=True)
    assert torch.equal(info["codes"], tokens)
    torch.testing.assert_close(latents, expected, **EXACT)
    torch.testing.assert_close(back.decode(latents), theirs.decode(expected), **EXACT)


@torch.no_grad()
@pytest.mark.parametrize("form", ["zoo", "diffusers"])
def test_half_precision(form, tiny, tmp_path):
    tiny["model"]["encoder"]["config"] |= {"channels": 6}
    model = randomised(tiny)
    for half in (False, True):
        zoo.export(model, form, tmp_path / str(half), half=half)
    (whole,), (small,) = (
        [path for path in (tmp_path / name).iterdir() if path.suffix == ".safetensors"]
        for name in ("False", "True")
    )
    with safe_open(small, "pt") as file:
        kinds = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert kinds == {torch.float16}
    assert small.stat().st_size < whole.stat().st_size
    back = zoo.from_pretrained(tmp_path / "True")
    assert {weight.dtype for weight in back.parameters()} == {torch.float32}
    for key, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[key], value.half().float())
    model.decoder.layers[0].bias.fill_(1e6)
    with pytest.raises(zoo.CheckpointError, match=r"'decoder\.\S*bias' has numbers above 65504"):
        zoo.export(model, form, tmp_path / "True", half=True)
    assert same(zoo.from_pretrained(tmp_path / "True"), back)


def test_a_model_of_a_run_takes_its_facts_along(run, tmp_path):
    zoo.export(run, "zoo", tmp_path / "one", licence="CC-BY-NC 4.0", title="My model")
    card = (tmp_path / "one" / "README.md").read_text()
    for line in ("| recipe | starter |", "| updates | 2 |", "| seed | 0 |", "# My model"):
        assert line in card
    assert "| `val/mel` | " in card
    assert 'license: other\nlicense_name: "CC-BY-NC 4.0"' in card
    assert str(Path.home()) not in card
    # And on, from file to file.
    zoo.export(tmp_path / "one", "stable-audio-tools", tmp_path / "two")
    again = (tmp_path / "two" / "README.md").read_text()
    assert "| updates | 2 |" in again
    assert "| `val/mel` | " in again
    assert same(zoo.from_checkpoint(run), zoo.from_pretrained(tmp_path / "two"))
