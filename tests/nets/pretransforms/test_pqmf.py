"""The cosine-modulated filter bank against its formulas."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from zoo.nets.pretransforms.pqmf import PQMFPretransform, modulated, prototype


def decibels(error: torch.Tensor, signal: torch.Tensor) -> float:
    return 10 * math.log10(float(error.square().mean() / signal.square().mean()) + 1e-30)


@torch.no_grad()
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 31, 32, 64, 100, 128])
def test_near_perfect_reconstruction_with_any_number_of_bands(bands):
    torch.manual_seed(bands)
    network = PQMFPretransform(100, bands, channels=2)
    assert network.downsampling_ratio == bands
    assert network.encoded_channels == 2 * bands
    for samples in (1, bands, 5 * bands + 1, 60 * bands - 1):
        audio = torch.randn(2, 2, samples)
        encoded = network.encode(audio)
        assert encoded.shape == (2, 2 * bands, -(-samples // bands))
        error = network.decode(encoded)[..., :samples] - audio
        # Everywhere, so that neither the delay nor the ends are left out.
        assert decibels(error, audio) < -60
        assert decibels(error[..., :bands], audio) < -55
        assert decibels(error[..., -bands:], audio) < -55


@torch.no_grad()
@pytest.mark.parametrize(("attenuation", "least"), [(40, -30), (60, -45), (80, -60), (120, -55)])
def test_other_attenuations(attenuation, least):
    network = PQMFPretransform(attenuation, 8)
    audio = torch.randn(1, 1, 4000)
    assert decibels(network.decode(network.encode(audio)) - audio, audio) < least


@torch.no_grad()
def test_random_configs_equal_the_formula():
    """Each frame is the audio times 2 p(n) cos((2k + 1) π n / 2M ± π/4), in float64."""
    ran = 0
    for seed in range(50):
        rng = random.Random(seed)
        torch.manual_seed(seed)
        bands, attenuation = rng.randint(1, 12), rng.uniform(30, 110)
        network = PQMFPretransform(attenuation, bands)
        lowpass = prototype(attenuation, bands)
        taps = len(lowpass)
        side = (taps - bands) // 2
        frames = 2 * network.edge_blocks + 2 * (taps // bands) + 4
        audio = torch.randn(1, 1, frames * bands)
        frame = frames // 2
        samples = audio[0, 0].double().numpy()[frame * bands - side :][:taps]
        time = np.arange(taps) - (taps - 1) / 2
        for band in range(bands):
            angle = (2 * band + 1) * np.pi / (2 * bands) * time + (-1) ** band * np.pi / 4
            expected = samples @ (lowpass * np.cos(angle)) * math.sqrt(2 / bands)
            given = float(network.encode(audio)[0, band, frame])
            assert abs(given - expected) < 1e-5 * max(1, abs(expected))
        ran += 1
    assert ran >= 50


@pytest.mark.parametrize("bands", [4, 7, 16])
def test_filters_damp_the_other_bands(bands):
    bank = modulated(prototype(100, bands), bands)
    response = 20 * np.log10(np.abs(np.fft.rfft(bank, 1 << 14)) / math.sqrt(bands) + 1e-12)
    frequency = np.linspace(0, bands, response.shape[1])
    for band in range(bands):
        far = np.abs(frequency - (band + 0.5)) > 1.6
        assert response[band][far].max() < -95
        middle = int(np.argmin(np.abs(frequency - (band + 0.5))))
        assert abs(response[band][middle]) < 0.1


@torch.no_grad()
def test_a_tone_keeps_its_level_in_its_band():
    network = PQMFPretransform(100, 8)
    tone = torch.sin(2.47 / 8 * math.pi * torch.arange(4000.0))[None, None]
    level = network.encode(tone)[..., 50:-50].abs().amax((0, 2))
    assert 0.9 < level[2] < 1.1
    assert level[[0, 4, 5, 6, 7]].max() < 1e-3


def test_spans_hold_all_dependencies():
    network = PQMFPretransform(60, 4).double()
    frames = 120
    audio = torch.randn(1, 1, frames * 4, dtype=torch.float64, requires_grad=True)
    network.encode(audio)[..., 60].square().sum().backward()
    touched = audio.grad[0, 0].nonzero()
    first, last = network.encode_span(60, 60)
    assert first <= touched.min() and touched.max() <= last
    latents = torch.randn(1, 4, frames, dtype=torch.float64, requires_grad=True)
    network.decode(latents)[..., 240].square().sum().backward()
    touched = latents.grad.abs().sum((0, 1)).nonzero()
    first, last = network.decode_span(240, 240)
    assert first <= touched.min() and touched.max() <= last


def test_nothing_is_saved():
    assert PQMFPretransform().state_dict() == {}
