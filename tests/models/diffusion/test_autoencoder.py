"""The calls of DiffusionAutoencoder: noise, lengths, types, options."""

from __future__ import annotations

import copy
import math
import random

import pytest
import torch

from tests.models.diffusion.examples import (
    DIFFUSIONS,
    SMALL,
    assert_same,
    lively,
    random_diffusion_autoencoder,
    small,
)
from tests.oracle import import_upstream

RANDOM = 15
kinds = pytest.mark.parametrize("kind", DIFFUSIONS)


@torch.no_grad()
@kinds
def test_any_number_of_frames(kind):
    ran, odd = 0, 0
    for seed in range(RANDOM):
        rng = random.Random(seed)
        config = random_diffusion_autoencoder(rng, kind, objective=None)
        model = lively(config, seed)
        around = model.pretransform.downsampling_ratio if model.pretransform else 1
        taken = model.config.model.diffusion.ratio * around
        assert model.min_length == math.lcm(model.downsampling_ratio, taken)
        for frames in (1, 2, 3, rng.randint(4, 40)):
            latents = torch.randn(1, model.latent_dim, frames)
            audio = model.decode(latents, steps=1)
            assert audio.shape == (1, 2, frames * model.downsampling_ratio)
            assert audio.isfinite().all()
            odd += frames * model.downsampling_ratio % model.min_length > 0
            ran += 1
    assert ran == 4 * RANDOM and odd > RANDOM // 2


@torch.no_grad()
def test_frames_that_do_not_fit_are_completed_by_the_last():
    """Patches of 3 samples on frames of 8."""
    diffusion = {"type": "dit", "config": {"patch_size": 3, "embed_dim": 64, "num_heads": 2}}
    diffusion["config"]["depth"] = 1
    model = small(diffusion=diffusion)
    assert model.min_length == 24
    latents = torch.randn(2, 3, 7)
    whole = torch.cat([latents, latents[..., -1:], latents[..., -1:]], dim=-1)
    assert_same(model.decode(latents, steps=3), model.decode(whole, steps=3)[..., :56], atol=1e-6)


@torch.no_grad()
def test_preparing_audio_pads_to_the_minimum():
    diffusion = {"type": "dit", "config": {"patch_size": 3, "embed_dim": 64, "num_heads": 2}}
    diffusion["config"]["depth"] = 1
    model = small(diffusion=diffusion)
    for samples in (1, 23, 24, 25, 100):
        audio = torch.randn(1, samples)
        prepared = model.preprocess_audio_for_encoder(audio, 16000)
        assert prepared.shape == (1, 2, samples + -samples % 24)
        assert torch.equal(prepared[0, :, :samples], audio.expand(2, -1))
        assert not prepared[..., samples:].any()
        decoded = model.decode(model.encode(prepared), steps=1)
        assert decoded.shape == prepared.shape


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@kinds
def test_other_types(kind, dtype):
    ran = 0
    for seed in range(RANDOM):
        model = lively(random_diffusion_autoencoder(random.Random(seed), kind), seed)
        latents = torch.randn(2, model.latent_dim, 40 // model.inner_ratio + 1)
        expected = model.decode(latents, steps=2)
        found = model.to(dtype).decode(latents.to(dtype), steps=2)
        assert found.dtype == dtype and found.shape == expected.shape
        error = (found.double() - expected.double()).square().mean().sqrt() / expected.std()
        assert error < {torch.bfloat16: 0.3, torch.float16: 0.05, torch.float64: 1e-4}[dtype]
        audio = torch.randn(1, 2, model.min_length * 4, dtype=dtype)
        assert model.encode(audio).dtype == dtype
        ran += 1
    assert ran == RANDOM


@torch.no_grad()
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_the_signal_between_steps_is_at_least_float32(dtype, expected):
    model, seen = small().to(dtype), []
    predict = model.predict

    def watched(noisy, t, condition):
        prediction = predict(noisy, t, condition)
        seen.append((noisy.dtype, prediction.dtype))
        return prediction

    model.predict = watched
    model.decode(torch.randn(1, 3, 4, dtype=dtype), steps=2)
    assert seen == [(expected, expected)] * 2


def test_a_bar_only_if_wished_and_on_stderr(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    model, latents = small(), torch.randn(1, 3, 4)
    quiet = model.decode(latents, steps=3)
    assert capsys.readouterr() == ("", "")
    shown = model.decode(latents, steps=3, progress=True)
    printed = capsys.readouterr()
    assert printed.out == "" and "decoding" in printed.err
    assert torch.equal(shown, quiet)


@torch.no_grad()
def test_soft_clip_is_of_the_decoder():
    decoder = {
        "type": "oobleck",
        "config": {
            "out_channels": 3,
            "channels": 4,
            "c_mults": [1, 2],
            "strides": [2, 4],
            "latent_dim": 3,
            "final_tanh": False,
        },
    }
    plain, clipped = (small(decoder=decoder | {"soft_clip": clip}) for clip in (False, True))
    latents = 9 * torch.randn(2, 3, 9)
    condition = plain.condition(latents)
    assert condition.abs().max() > 1
    torch.testing.assert_close(clipped.condition(latents), condition.tanh())
    assert not torch.allclose(plain.decode(latents, steps=3), clipped.decode(latents, steps=3))


def test_decoding_has_no_gradient_but_encoding_has():
    model = small()
    latents = model.encode(torch.randn(1, 2, 64))
    assert latents.requires_grad
    assert not model.decode(latents, steps=1).requires_grad


@torch.no_grad()
def test_defaults_are_those_of_the_config():
    config = copy.deepcopy(SMALL)
    model = lively(config)
    assert (model.sampler, model.steps) == ("ddim", 100)
    config["model"]["sampling"] = {"sampler": "heun", "steps": 3}
    model, latents = lively(config), torch.randn(1, 3, 4)
    expected = model.decode(latents, steps=3, sampler="heun")
    assert torch.equal(model.decode(latents), expected)
    assert torch.equal(model.decode_audio(latents), expected)
    assert not torch.equal(model.decode(latents, sampler="euler"), expected)
    assert not torch.equal(model.decode(latents, steps=4), expected)
    with pytest.raises(ValueError, match="unknown sampler 'x'"):
        model.decode(latents, sampler="x")
    for steps in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"steps is {steps}, but must be a whole number"):
            model.decode(latents, steps=steps)
    for seed in (-1, 1.0, True, 2**63):
        with pytest.raises(ValueError, match=f"seed is {seed}, but must be a whole number"):
            model.decode(latents, seed=seed)
    for shape in ((1, 2, 4), (3, 4), (1, 3, 0)):
        with pytest.raises(ValueError, match=r"must have \(batch, 3, frames\)"):
            model.decode(torch.zeros(shape))


@torch.no_grad()
@kinds
def test_inside_upstreams_pretransform(kind):
    pretransforms = import_upstream("stable_audio_tools.models.pretransforms")
    ran = 0
    for seed in range(6):
        model = lively(random_diffusion_autoencoder(random.Random(seed), kind), seed)
        model.steps = 2
        options = {"iterate_batch": seed % 2 == 0, "chunked": seed % 3 == 0}
        outer = pretransforms.AutoencoderPretransform(model, scale=2.0, **options)
        assert outer.downsampling_ratio == model.downsampling_ratio
        assert outer.encoded_channels == model.latent_dim
        audio = torch.randn(2, 2, model.min_length * (40 // model.min_length + 1))
        latents = outer.encode(audio)
        assert_same(latents * 2, model.encode(audio), atol=1e-5)
        decoded = outer.decode(latents)
        assert decoded.shape == audio.shape
        if not outer.chunked:
            assert_same(decoded, model.decode(latents * 2))
        ran += 1
    assert ran == 6
