"""The wavelet transform against upstream's and PyWavelets'."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from tests.oracle import import_upstream
from zoo.nets.pretransforms.wavelet import WAVELETS, WaveletPretransform


@torch.no_grad()
def test_random_configs_equal_upstream():
    upstream = import_upstream("stable_audio_tools.models.pretransforms")
    ran = 0
    for seed in range(60):
        rng = random.Random(seed)
        torch.manual_seed(seed)
        channels, levels = rng.randint(1, 3), rng.randint(0, 4)
        wavelet = rng.choice(WAVELETS)
        ours = WaveletPretransform(channels, levels, wavelet)
        theirs = upstream.WaveletPretransform(channels, levels, wavelet)
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value)
        ours.load_state_dict(theirs.state_dict())
        assert ours.downsampling_ratio == theirs.downsampling_ratio
        assert ours.encoded_channels == theirs.encoded_channels
        audio = torch.randn(rng.randint(1, 2), channels, 2**levels * rng.randint(11, 40))
        encoded = ours.encode(audio)
        torch.testing.assert_close(encoded, theirs.encode(audio), atol=1e-5, rtol=1e-5)
        noise = torch.randn_like(encoded)
        torch.testing.assert_close(ours.decode(noise), theirs.decode(noise), atol=1e-5, rtol=1e-5)
        ran += 1
    assert ran >= 50


@torch.no_grad()
@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("samples", [1, 2, 3, 7, 16, 33, 1000])
def test_perfect_reconstruction_of_any_length(wavelet, samples):
    torch.manual_seed(samples)
    audio = torch.randn(2, 2, samples)
    for levels in (0, 1, 3, 5):
        network = WaveletPretransform(2, levels, wavelet)
        encoded = network.encode(audio)
        assert encoded.shape == (2, 2 * 2**levels, -(-samples // 2**levels))
        error = (network.decode(encoded)[..., :samples] - audio).abs().max()
        assert error <= 1e-6 * max(1, audio.abs().max())


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_filters_are_those_of_pywavelets(wavelet):
    pywt = pytest.importorskip("pywt")
    low, high, *_ = np.array(pywt.Wavelet(wavelet).filter_bank)[:, 1:]
    network = WaveletPretransform(1, 1, wavelet)
    np.testing.assert_allclose(network.encoder.taps[0, 0], low[::-1], atol=1e-7)
    np.testing.assert_allclose(network.encoder.taps[1, 0], high[::-1], atol=1e-7)


def test_the_low_band_of_a_constant_is_constant():
    network = WaveletPretransform(1, 2, "bior4.4")
    encoded = network.encode(torch.ones(1, 1, 64))
    torch.testing.assert_close(encoded[:, 0], torch.full((1, 16), 2.0))
    assert encoded[:, 1:].abs().max() < 1e-6


@pytest.mark.parametrize("wavelet", ["bior2.2", "bior6.8"])
@pytest.mark.parametrize("levels", [1, 3])
def test_spans_hold_all_dependencies(wavelet, levels):
    network = WaveletPretransform(1, levels, wavelet).double()
    frames = 80
    audio = torch.randn(1, 1, frames * 2**levels, dtype=torch.float64, requires_grad=True)
    network.encode(audio)[..., 40].square().sum().backward()
    touched = audio.grad[0, 0].nonzero()
    first, last = network.encode_span(40, 40)
    assert first <= touched.min() <= first + 2**levels
    assert last - 2**levels <= touched.max() <= last
    latents = torch.randn(1, 2**levels, frames, dtype=torch.float64, requires_grad=True)
    sample = 40 * 2**levels + 1
    network.decode(latents)[..., sample].square().sum().backward()
    touched = latents.grad.abs().sum((0, 1)).nonzero()
    first, last = network.decode_span(sample, sample)
    assert first <= touched.min() and touched.max() <= last
