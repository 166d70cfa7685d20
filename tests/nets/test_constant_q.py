"""The constant-Q transform against its definition, in float64."""

import random

import numpy as np
import pytest
import torch

from zoo.nets.constant_q import ConstantQ, window_of

CASES = 60


def interpolated(x: torch.Tensor, factor: int, around: int) -> np.ndarray:
    """`x` (samples,) amid zeros, at a higher rate, with nothing above its Nyquist frequency."""
    field = np.zeros(2 * around + len(x))
    field[around : around + len(x)] = x.double().numpy()
    if factor == 1:
        return field
    spectrum = np.fft.rfft(field)
    spectrum[-1] /= 2
    wide = np.zeros(factor * len(field) // 2 + 1, dtype=complex)
    wide[: len(spectrum)] = spectrum
    return np.fft.irfft(wide) * factor


def by_definition(x, sample_rate, hop, octaves, bins, low_hz, oversampling):
    rate = sample_rate * oversampling
    quality = 1 / (2 ** (1 / bins) - 1)
    around = 4 * int(quality * sample_rate / low_hz + 1000)
    field = interpolated(x, oversampling, around)
    frames = len(x) * oversampling // hop + 1
    result = np.zeros((octaves * bins, frames), dtype=complex)
    for k in range(octaves * bins):
        hz = low_hz * 2 ** (k / bins)
        length = int(np.ceil(quality * rate / hz))
        n = np.arange(length) - (length + 1) // 2
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        window = np.sqrt(length) * hann / hann.sum() * np.exp(2j * np.pi * hz / rate * n)
        for frame in range(frames):
            at = around * oversampling + frame * hop + n
            result[k, frame] = (field[at] * window.conj()).sum()
    return result


def test_equals_the_definition():
    draw = random.Random(0)
    torch.manual_seed(0)
    ran = 0
    for _ in range(CASES):
        sample_rate = draw.choice([1000, 4000, 8001])
        oversampling = draw.choice([1, 2])
        octaves, bins = draw.randint(1, 5), draw.choice([5, 6, 12])
        limit = oversampling * sample_rate / 2
        low_hz = limit / 2**octaves * draw.uniform(0.3, 1)
        hop = draw.choice([7, 32, 48, 64])
        x = torch.randn(draw.choice([2, 10, 600, 1202]))
        if oversampling > 1:
            # What is at the Nyquist frequency itself has no one interpolation.
            smooth = torch.tensor([1.0, 4, 6, 4, 1]).expand(1, 1, 5) / 16
            x = torch.nn.functional.conv1d(x[None, None], smooth, padding=4)[0, 0]
        given = ConstantQ(
            sample_rate, hop, octaves, bins, low_hz=low_hz, oversampling=oversampling
        )(x)
        expected = by_definition(x, sample_rate, hop, octaves, bins, low_hz, oversampling)
        assert given.shape == expected.shape
        tolerance = 1e-5 * max(1, np.abs(expected).max())
        assert np.abs(given.numpy() - expected).max() < tolerance
        ran += 1
    assert ran == CASES


def test_low_octaves_are_computed_at_low_rates():
    octaves = ConstantQ(44100, 256, 9, 24, oversampling=2).octaves
    assert [octave.divisor for octave in octaves] == [128, 64, 32, 16, 8, 4, 2, 1, 1]
    assert all(octave.kernels.shape[-1] < 1700 for octave in octaves)


def test_a_tone_is_in_its_bin_as_loud_as_it_is_long():
    rate, bins = 8000, 12
    hz = 100 * 2 ** (20 / bins)
    t = torch.arange(8000) / rate
    spectrum = ConstantQ(rate, 80, 4, bins, low_hz=100)(torch.cos(2 * torch.pi * hz * t)).abs()
    middle = spectrum[:, 50]
    assert middle.argmax() == 20
    length = np.ceil(rate / hz / (2 ** (1 / bins) - 1))
    assert middle[20].item() == pytest.approx(np.sqrt(length) / 2, rel=1e-3)


def test_what_lies_above_the_nyquist_frequency_is_empty():
    spectrum = ConstantQ(1000, 64, 2, 12, low_hz=250, oversampling=2)(torch.randn(3, 2, 900))
    assert spectrum.shape == (3, 2, 24, 29)
    assert spectrum[:, :, 16:].abs().max() < 0.1 < spectrum[:, :, :10].abs().mean()


def test_gradient_is_the_adjoint():
    transform = ConstantQ(2000, 16, 3, 6, low_hz=60, oversampling=2)
    x = torch.randn(1, 400, requires_grad=True)
    y = transform(x)
    other = torch.randn_like(y)
    (grad,) = torch.autograd.grad((y * other.conj()).real.sum(), x)
    z = torch.randn(1, 400)
    expected = (transform(z) * other.conj()).real.sum()
    torch.testing.assert_close((grad * z).sum(), expected, rtol=1e-3, atol=1e-3)


def test_windows_stay_exact_in_half_precision():
    transform = ConstantQ(2000, 16, 3, 6, low_hz=60)
    x = torch.randn(2, 300)
    expected = transform(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(transform.to(torch.bfloat16)(x), expected)
    assert not transform.state_dict()


def test_a_click_is_interpolated_to_a_sinc_up_to_the_nyquist_frequency():
    x = torch.zeros(64)
    x[20] = 1
    given = ConstantQ(4000, 8, 1, 5, low_hz=1500, oversampling=2)(x)
    for k in range(5):
        first, window = window_of(8000, 1500 * 2 ** (k / 5), 5)
        n = 8 * torch.arange(17)[:, None] + torch.arange(first, first + len(window)) - 40
        expected = (torch.sinc(n.double() / 2) * window.conj()).sum(dim=1)
        assert (given[k] - expected).abs().max() < 2e-5
