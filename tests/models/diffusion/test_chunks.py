"""Decoding in windows: exact where the receptive field has an end, smooth where it has none."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.diffusion.examples import (
    DIFFUSIONS,
    assert_same,
    lively,
    random_diffusion_autoencoder,
    small,
)
from zoo.models.diffusion.samplers import SAMPLERS

CASES = 40
RANDOM = 12
kinds = pytest.mark.parametrize("kind", DIFFUSIONS)


def windowed(seed):
    """A random model whose diffusion transformer sees a window, and no token the whole."""
    rng = random.Random(seed)
    config = random_diffusion_autoencoder(rng, "dit", objective=None)
    parameters = config["model"]["diffusion"]["config"]
    parameters.pop("timestep_cond_type", None)
    parameters |= {
        "sliding_window": [rng.randint(0, 4), rng.randint(0, 4)],
        "global_cond_type": "adaLN",
        "num_memory_tokens": 0,
        "use_abs_pos_emb": False,
        "use_sinusoidal_emb": False,
    }
    parameters["attn_kwargs"]["feat_scale"] = False
    # In float64, for some of these networks make much of the last bits.
    return lively(config, seed).double()


def test_windowed_transformers_are_exact():
    ran = cut = 0

    @torch.no_grad()
    @settings(max_examples=CASES, deadline=None, database=None)
    @given(
        seed=st.integers(0, 9999),
        frames=st.integers(1, 40),
        chunk=st.integers(1, 15),
        overlap=st.none() | st.integers(0, 20),
        sampler=st.sampled_from(SAMPLERS),
    )
    def check(seed, frames, chunk, overlap, sampler):
        nonlocal ran, cut
        model = windowed(seed)
        assert model.diffusion.reach
        latents = torch.randn(2, model.latent_dim, frames, dtype=torch.float64)
        whole = model.decode(latents, steps=2, sampler=sampler)
        options = {"chunked": True, "chunk_size": chunk, "overlap": overlap}
        found = model.decode_audio(latents, steps=2, sampler=sampler, **options)
        peak = float(whole.abs().max().clamp(min=1))
        torch.testing.assert_close(found, whole, atol=1e-8 * peak, rtol=0)
        ran += 1
        cut += frames > chunk

    check()
    assert ran >= CASES and cut > CASES // 8


def test_windows_are_shorter_than_the_signal():
    model, seen = windowed(0), []
    predict = model.predict
    model.predict = lambda noisy, t, heard: seen.append(noisy.shape[-1]) or predict(noisy, t, heard)
    latents = torch.randn(1, model.latent_dim, 400, dtype=torch.float64)
    model.decode_audio(latents, chunked=True, chunk_size=10, steps=1)
    length = 400 * model.inner_ratio
    assert len(seen) > 10 and max(seen) < length / 4 and sum(seen) >= length


@torch.no_grad()
@kinds
def test_others_have_the_length_and_are_near(kind):
    ran = 0
    for seed in range(RANDOM):
        rng = random.Random(seed)
        model = lively(random_diffusion_autoencoder(rng, kind, objective=None), seed).double()
        frames = rng.randint(1, 120 // model.inner_ratio + 1)
        latents = torch.randn(2, model.latent_dim, frames, dtype=torch.float64)
        options = {"chunked": True, "chunk_size": rng.randint(1, 20)}
        options["overlap"] = rng.choice((None, 0, rng.randint(1, 30)))
        found = model.decode_audio(latents, steps=2, **options)
        whole = model.decode(latents, steps=2)
        assert found.shape == whole.shape == (2, 2, frames * model.downsampling_ratio)
        assert_same(
            model.decode_audio(latents, steps=2, iterate_batch=True, **options), found, 1e-7
        )
        error = (found - whole).square().mean().sqrt() / whole.std()
        assert error < 0.6
        ran += 1
    assert ran == RANDOM


@torch.no_grad()
def test_a_chunk_of_all_is_unchunked():
    for kind in DIFFUSIONS:
        model = lively(random_diffusion_autoencoder(random.Random(3), kind))
        latents = torch.randn(2, model.latent_dim, 9)
        found = model.decode_audio(latents, chunked=True, chunk_size=9, steps=3)
        assert_same(found, model.decode(latents, steps=3), atol=1e-5)


@torch.no_grad()
def test_no_seams():
    """The network hears nothing but its window's mean, so that windows differ as a whole."""
    model = small(bottleneck=None, encoder=None, latent_dim=2, downsampling_ratio=1)

    def predict(noisy, t, heard):
        return 0 * noisy + heard.mean(-1, keepdim=True)

    model.predict = predict
    latents = torch.randn(1, 2, 4096).cumsum(-1) / 10
    noise = torch.zeros(1, 2, 4096)
    options = {"steps": 4, "noise": noise, "chunked": True, "chunk_size": 256}
    found = model.decode_audio(latents, **options)
    steps = found.diff().abs().amax(1)[0]
    seams = torch.zeros(4095, dtype=torch.bool)
    # Where cores meet and where windows end.
    for start in range(256, 4096, 256):
        for edge in (start - 64, start, start + 64):
            seams[edge - 2 : edge + 2] = True
    assert steps[seams].max() <= 1.01 * steps[~seams].max()
    hard = model.decode_audio(latents, **options, overlap=0).diff().abs().amax(1)[0]
    assert hard.max() > 10 * steps.max()


@pytest.mark.parametrize("chunk", [0, -1])
def test_an_empty_chunk_is_refused(chunk):
    with pytest.raises(ValueError, match="chunk_size is"):
        small().decode_audio(torch.randn(1, 3, 9), chunked=True, chunk_size=chunk, steps=1)
