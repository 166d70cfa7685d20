from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.data import resample as module
from zoo.data.resample import fit_channels, resample, resampled_length

RATES = (8000, 16000, 22050, 44100, 48000)


def _noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _oracle(audio: torch.Tensor, from_rate: int, to_rate: int) -> torch.Tensor:
    return torchaudio.functional.resample(audio.double(), from_rate, to_rate).float()


@pytest.mark.parametrize("gathered", [False, True])
def test_same_as_torchaudio(monkeypatch: pytest.MonkeyPatch, gathered: bool) -> None:
    if gathered:
        monkeypatch.setattr(module, "_LARGEST_KERNEL", 0)
        monkeypatch.setattr(module, "_GATHERED_AT_ONCE", 5000)
    cases = 0

    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(
        from_rate=st.sampled_from(RATES),
        to_rate=st.sampled_from(RATES),
        samples=st.one_of(st.integers(1, 20), st.integers(1, 4000)),
        channels=st.integers(1, 3),
    )
    def check(from_rate: int, to_rate: int, samples: int, channels: int) -> None:
        nonlocal cases
        cases += 1
        audio = _noise(2, channels, samples, seed=samples)
        result = resample(audio, from_rate, to_rate)
        assert result.dtype == torch.float32
        assert result.shape[-1] == math.ceil(samples * to_rate / from_rate)
        expected = _oracle(audio, from_rate, to_rate)
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)

    check()
    assert cases >= 50


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44056, 44100), (44101, 16000)])
def test_rates_without_a_common_divisor(from_rate: int, to_rate: int) -> None:
    time = np.arange(6000) / from_rate
    audio = torch.from_numpy(np.sin(2 * np.pi * 440 * time)).float()
    result = resample(audio, from_rate, to_rate)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(result)) / to_rate)
    assert len(result) == resampled_length(6000, from_rate, to_rate)
    np.testing.assert_allclose(result[50:-50], expected[50:-50], atol=2e-3)


@given(samples=st.integers(0, 10**12), rates=st.tuples(*[st.integers(1, 400000)] * 2))
def test_length_is_exact(samples: int, rates: tuple[int, int]) -> None:
    length = resampled_length(samples, *rates)
    assert (length - 1) * rates[0] < samples * rates[1] <= length * rates[0]


def test_equal_rates_give_the_audio_itself() -> None:
    audio = _noise(2, 100)
    assert resample(audio, 44100, 44100) is audio


def test_nothing_in_nothing_out() -> None:
    assert resample(torch.zeros(2, 0), 44100, 48000).shape == (2, 0)
    assert resample(torch.zeros(0, 2, 10), 8000, 16000).shape == (0, 2, 20)


def test_the_kernel_is_computed_once() -> None:
    module._kernel.cache_clear()
    for _ in range(3):
        resample(_noise(1, 50), 44100, 32000)
        resample(_noise(2, 70), 88200, 64000)
    assert module._kernel.cache_info().misses == 1
    assert module._kernel.cache_info().hits == 5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    audio = _noise(2, 500).to(dtype)
    result = resample(audio, 44100, 48000)
    assert result.dtype == dtype
    expected = torchaudio.functional.resample(audio.double(), 44100, 48000)
    tolerance = 1e-12 if dtype == torch.float64 else torch.finfo(dtype).eps
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rates", [(44100, 22050), (44056, 44100)])
def test_a_kernel_made_in_inference_mode_serves_gradients(rates: tuple[int, int]) -> None:
    module._kernel.cache_clear()
    module._taps.cache_clear()
    with torch.inference_mode():
        resample(_noise(1, 50), *rates)
    audio = _noise(1, 50).requires_grad_()
    resample(audio, *rates).square().sum().backward()
    assert audio.grad is not None
    assert audio.grad.abs().max() > 0


@given(given_channels=st.integers(1, 6), channels=st.integers(1, 8), samples=st.integers(0, 5))
def test_fit_channels(given_channels: int, channels: int, samples: int) -> None:
    audio = _noise(3, given_channels, samples)
    result = fit_channels(audio, channels)
    assert result.shape == (3, channels, samples)
    if channels == 1:
        torch.testing.assert_close(result[:, 0], audio.mean(1))
    else:
        for channel in range(channels):
            assert torch.equal(result[:, channel], audio[:, channel % given_channels])
