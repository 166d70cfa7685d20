"""Diffusion autoencoders with frozen parts, bad values, and after a stop."""

from __future__ import annotations

import pytest
import torch

import zoo
from tests.shrunk import shrunk
from tests.training.test_run import zoo_yaml
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import parse_recipe
from zoo.errors import CheckpointError, ConfigError
from zoo.training.build import build_module
from zoo.training.run import train


def test_decoder_alone_is_tuned_behind_a_trained_encoder(run, tmp_path):
    """`run` is a standard autoencoder, whose encoder is taken over and kept."""
    trained = zoo.from_checkpoint(run)
    model = trained.config.model
    encoder = model.encoder.to_dict()
    network = {"type": "dit", "config": {"embed_dim": 32, "num_heads": 1, "depth": 1}}
    given = {
        "sample_rate": 22050,
        "model": {
            "encoder": encoder,
            "bottleneck": {"type": "vae"},
            "pretransform": model.pretransform.to_dict(),
            "diffusion": network,
            "latent_dim": 32,
            "downsampling_ratio": 64,
            "io_channels": 2,
        },
    }
    base = shrunk("dit_diffae", tmp_path).to_dict()
    for key in ("sample_rate", "model", "sample_size", "audio_channels"):
        base.pop(key, None)
    fine_tuning = [
        f"init_from={run}",
        "init_parts=[encoder,bottleneck]",
        "freeze=[encoder,bottleneck]",
        "ema=null",
        "optimizers.autoencoder.optimizer.config.weight_decay=0.1",
    ]
    recipe = parse_recipe({**base, **given}, fine_tuning, "tuning")
    module = build_module(recipe)
    for key, value in trained.encoder.state_dict().items():
        assert torch.equal(value, module.model.encoder.state_dict()[key])
    tuned = zoo.from_checkpoint(train(recipe).folder)
    for key, value in trained.encoder.state_dict().items():
        assert torch.equal(value, tuned.encoder.state_dict()[key])
    fresh = module.model.diffusion.state_dict()
    moved = [
        key for key, value in tuned.diffusion.state_dict().items() if (value != fresh[key]).any()
    ]
    assert len(moved) > 5
    with pytest.raises(CheckpointError, match=r"diffusion: does not fit.*missing"):
        build_module(
            parse_recipe({**base, **given}, [*fine_tuning[:1], "init_parts=[diffusion]"], "")
        )
    with pytest.raises(CheckpointError, match="does not fit"):
        build_module(parse_recipe({**base, **given}, fine_tuning[:1], ""))


def test_frozen_parts_stay_in_eval_mode(tmp_path):
    recipe = shrunk("adp_diffae", tmp_path, "freeze=[encoder,bottleneck]")
    module = build_module(recipe)
    module.on_train_start()
    assert not module.model.encoder.training
    assert not module.model.bottleneck.training
    assert module.model.diffusion.training
    with pytest.raises(ConfigError, match="freeze: nothing to train"):
        shrunk("adp_diffae", tmp_path, "freeze=[encoder,bottleneck,diffusion]")


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("freeze=[decoder]", "freeze: there is no model.decoder"),
        ("init_parts=[encoder]", "init_parts: of which weights"),
        (
            "timesteps={type: uniform, shift: {min_length: 9, max_length: 5}}",
            "timesteps.shift.max_length: 5",
        ),
        ("validation.steps=0", "validation.steps: must be greater than 0"),
        ("validation.sampler=dpm", "validation.sampler: unknown value 'dpm'"),
        ("model.sampling.sampler=ddmi", "model.sampling.sampler: unknown value 'ddmi'; did you"),
        ("timesteps.type=logitnormal", "timesteps.type: unknown value 'logitnormal'"),
        ("data.segment_samples=5000", "data.segment_samples: 5000 is not a multiple of"),
        ("losses.mse=0", "losses: every"),
        ("discriminator={type: encodec}", "discriminator: unknown key"),
    ],
)
def test_bad_values_are_refused_by_name(override, path, tmp_path):
    with pytest.raises(ConfigError) as error:
        shrunk("adp_diffae", tmp_path, override)
    assert path in str(error.value)


@pytest.mark.parametrize("freeze", ["freeze=[]", "freeze=[encoder,bottleneck]"])
def test_a_resumed_run_is_the_straight_run(freeze, tmp_path):
    straight = train(shrunk("dit_diffae", tmp_path, freeze, "trainer.max_steps=4"))
    half = train(shrunk("dit_diffae", tmp_path, freeze, "name=other"))
    longer = parse_recipe(zoo_yaml(half.folder / "recipe.yaml"), ["trainer.max_steps=4"], "resumed")
    resumed = train(longer, resume=half.folder)
    one, other = read_ckpt(straight.last_checkpoint), read_ckpt(resumed.last_checkpoint)
    for part in ("state_dict", EMA_KEY):
        assert one[part].keys() == other[part].keys()
        for key in one[part]:
            assert torch.equal(one[part][key], other[part][key]), key
