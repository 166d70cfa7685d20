"""What contradicts itself in a diffusion autoencoder's config."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.small_diffusion import (
    ADP,
    AROUND,
    DAU,
    DECODING,
    NO_ENCODER,
    NO_ENCODER_AROUND,
    changed,
    config,
)
from zoo.config.load import load_config
from zoo.config.resolve import parse_recipe
from zoo.errors import ConfigError, Problem


def refused(changes: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as refusal:
        load_config(changed(config(), changes))
    return refusal.value.problems


@pytest.mark.parametrize(
    "sound", [{}, DECODING, AROUND, NO_ENCODER, NO_ENCODER_AROUND, {**DECODING, **AROUND}]
)
def test_what_the_next_test_breaks_is_sound(sound):
    load_config(changed(config(), sound))


@pytest.mark.parametrize(
    ("base", "change", "path", "message"),
    [
        (
            {},
            {"model.diffusion.config.num_heads": 4},
            "model.diffusion.config.num_heads",
            "make each 16 wide, but the rotary embedding needs at least 32",
        ),
        (
            {},
            {"model.diffusion.config.input_concat_dim": 4},
            "model.diffusion.config.input_concat_dim",
            "4, but the condition beside the audio has 3 (of model.latent_dim 3 without a "
            "bottleneck, without a decoder)",
        ),
        (
            DECODING,
            {"model.diffusion.config.input_concat_dim": 3},
            "model.diffusion.config.input_concat_dim",
            "has 5 (of model.decoder.config.out_channels)",
        ),
        (
            {"model.bottleneck": {"type": "wasserstein", "config": {"noise_augment_dim": 2}}},
            {"model.diffusion.config.input_concat_dim": 3},
            "model.diffusion.config.input_concat_dim",
            "has 5 (of model.latent_dim 3 and a 'wasserstein' bottleneck of noise_augment_dim 2, "
            "without a decoder)",
        ),
        (
            {"model.bottleneck": {"type": "wasserstein"}},
            {"model.diffusion.config.input_concat_dim": 5},
            "model.diffusion.config.input_concat_dim",
            "has 3 (of model.latent_dim 3 and a 'wasserstein' bottleneck of noise_augment_dim 0, "
            "without a decoder)",
        ),
        (
            {},
            {"model.diffusion": {"type": "adp_1d", "config": {**ADP, "context_channels": [4]}}},
            "model.diffusion.config.context_channels",
            "[4], but must be [3]",
        ),
        (
            {},
            {"model.diffusion": {"type": "DAU1d", "config": {**DAU, "cond_dim": 4}}},
            "model.diffusion.config.cond_dim",
            "4, but must be 3, the channels of the condition (of model.latent_dim 3 without",
        ),
        (
            {},
            {"model.diffusion.config.io_channels": 1},
            "model.diffusion.config.io_channels",
            "1, but the audio it denoises has 2 (of model.io_channels 2)",
        ),
        (
            AROUND,
            {"model.diffusion.config.io_channels": 2},
            "model.diffusion.config.io_channels",
            "has 4 (of model.io_channels 2 through the 'wavelet' pretransform)",
        ),
        (
            {},
            {"model.downsampling_ratio": 4},
            "model.encoder.config.strides",
            "2x4 = 8, but model.downsampling_ratio is 4",
        ),
        (
            AROUND,
            {"model.downsampling_ratio": 4},
            "model.encoder.config.strides",
            "2x4 (x 2 of the pretransform's levels) = 16, but model.downsampling_ratio is 4",
        ),
        (
            NO_ENCODER,
            {"model.downsampling_ratio": 8},
            "model.downsampling_ratio",
            "8, but no pretransform and no encoder makes it 1",
        ),
        (
            NO_ENCODER_AROUND,
            {"model.downsampling_ratio": 8},
            "model.downsampling_ratio",
            "8, but the pretransform's levels makes it 2",
        ),
        (
            NO_ENCODER,
            {"model.latent_dim": 3},
            "model.latent_dim",
            "3 without a bottleneck needs 3 channels, but without an encoder there are the 2 of "
            "model.io_channels",
        ),
        (
            NO_ENCODER,
            {"model.bottleneck": {"type": "vae"}},
            "model.latent_dim",
            "2 and a 'vae' bottleneck needs 4 channels",
        ),
        (
            DECODING,
            {"model.decoder.config.strides": [3]},
            "model.decoder.config.strides",
            "3 = 3 does not divide the encoder's 8",
        ),
        (
            DECODING,
            {"model.decoder.config.latent_dim": 6},
            "model.decoder.config.latent_dim",
            "6, but must be 3 for model.latent_dim 3 without a bottleneck",
        ),
        (
            {},
            {"model.bottleneck": {"type": "vae"}},
            "model.encoder.config.latent_dim",
            "3, but must be 6 for model.latent_dim 3 and a 'vae' bottleneck",
        ),
        (
            AROUND,
            {"model.pretransform.config.channels": 3},
            "model.pretransform.config.channels",
            "3, but model.io_channels is 2",
        ),
        (
            AROUND,
            {"model.encoder.config.in_channels": 2},
            "model.encoder.config.in_channels",
            "2, but must be 4 for model.io_channels 2 through the 'wavelet' pretransform",
        ),
        (
            {},
            {"model.diffusion.config.patch_size": 3, "sample_size": 16},
            "sample_size",
            "16 is not a multiple of 24, which model.downsampling_ratio 8, model.diffusion need "
            "together",
        ),
        (
            AROUND,
            {"model.diffusion.config.patch_size": 3, "sample_size": 32},
            "sample_size",
            "32 is not a multiple of 48, which model.downsampling_ratio 16, model.diffusion and "
            "the pretransform need together",
        ),
        ({}, {"audio_channels": 1}, "audio_channels", "1, but the model's audio has 2"),
        (
            {},
            {"model.diffusion.type": "dti"},
            "model.diffusion.type",
            "unknown value 'dti'; did you mean 'dit'? (allowed: dit, adp_1d, DAU1d)",
        ),
        (
            {},
            {"model.sampling": {"sampler": "dpmp_2m"}},
            "model.sampling.sampler",
            "unknown value 'dpmp_2m'; did you mean 'dpmpp_2m'?",
        ),
        ({}, {"model.sampling": {"steps": 0}}, "model.sampling.steps", "greater than 0, not 0"),
        ({}, {"model.diffusion": ...}, "model.diffusion", "required, but missing"),
    ],
)
def test_each_contradiction_is_refused_by_name(base, change, path, message):
    # Without the section nothing says that it is a diffusion autoencoder.
    kind = {"model_type": "diffusion_autoencoder"}
    (problem,) = refused({**kind, **base, **change})
    assert problem.path == path
    assert message in problem.message


def test_every_contradiction_at_once():
    found = refused(
        {
            **DECODING,
            "model.decoder.config.strides": [3],
            "model.encoder.config.in_channels": 1,
            "model.downsampling_ratio": 4,
            "model.diffusion.config.num_heads": 4,
            "model.diffusion.config.input_concat_dim": 7,
            "sample_size": 5,
        }
    )
    assert {problem.path.removeprefix("model.") for problem in found} == {
        "decoder.config.strides",
        "encoder.config.in_channels",
        "encoder.config.strides",
        "diffusion.config.num_heads",
        "diffusion.config.input_concat_dim",
        "sample_size",
    }


def test_training_crops_fit_network_and_ratio():
    recipe = {**config(patch_size=3), "name": "x", "data": {"segment_samples": 4096}}
    with pytest.raises(ConfigError, match=r"data\.segment_samples: 4096 is not a multiple of 24"):
        parse_recipe(recipe, [], "x")
    recipe["data"]["segment_samples"] = 4800
    assert parse_recipe(recipe, [], "x").container().model.diffusion.config.input_concat_dim == 3
