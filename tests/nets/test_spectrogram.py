import copy
import warnings

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.nets.spectrogram import (
    STFT,
    hz_to_mel,
    magnitude,
    mel_filterbank,
    mel_to_hz,
    mid_and_side,
)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("unit_energy", [True, False])
@pytest.mark.parametrize(("fft", "hop", "window"), [(64, 16, 64), (128, 50, 90), (33, 7, 32)])
def test_stft_equals_torchaudio(fft, hop, window, unit_energy, center):
    x = torch.randn(2, 3, 500)
    theirs = torchaudio.transforms.Spectrogram(
        fft, window, hop, power=None, normalized=unit_energy, center=center
    )(x)
    ours = STFT(fft, hop, window, center=center, unit_energy=unit_energy)(x)
    assert ours.dtype == torch.complex64
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_float32_under_autocast_and_after_a_cast():
    x = torch.randn(1, 1, 400)
    stft = STFT(64, 16, 64)
    expected = stft(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(stft(x), expected, rtol=0, atol=0)
    cast = copy.deepcopy(stft).to(torch.bfloat16).double()
    assert cast.window.dtype == torch.float32
    torch.testing.assert_close(cast(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("default", [torch.bfloat16, torch.float64])
def test_float32_whatever_the_default_is(default):
    x = torch.randn(1, 1, 400)
    torch.set_default_dtype(default)
    try:
        stft = STFT(64, 16, 64)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(stft(x), STFT(64, 16, 64)(x))


def test_runs_on_the_meta_device():
    assert STFT(64, 16, 64).to("meta")(torch.zeros(1, 400, device="meta")).shape == (1, 33, 26)


def test_only_a_persistent_window_is_saved():
    assert list(STFT(64, 16, 64).state_dict()) == []
    assert list(STFT(64, 16, 64, persistent=True).state_dict()) == ["window"]


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 31, 32, 33, 63, 64])
def test_short_signals_are_padded_with_zeros(samples, center):
    x = torch.randn(2, samples)
    stft = STFT(64, 16, 64, center=center)
    shortest = 33 if center else 64
    longer = torch.nn.functional.pad(x, (0, max(0, shortest - samples)))
    torch.testing.assert_close(stft(x), stft(longer), rtol=0, atol=0)
    assert stft(x).shape[-1] >= 1


def test_mid_and_side_are_the_spectra_of_sum_and_difference():
    x = torch.randn(2, 2, 700)
    stft = STFT(128, 32, 100)
    signals = torch.stack((x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]), dim=1)
    torch.testing.assert_close(mid_and_side(stft(x)), stft(signals), rtol=1e-4, atol=1e-4)


def test_magnitude_has_a_floor_and_a_gradient_at_zero():
    spectrum = torch.tensor([0j, 3 + 4j], requires_grad=True)
    value = magnitude(spectrum, 1e-8)
    torch.testing.assert_close(value, torch.tensor([1e-4, 5.0]))
    value.sum().backward()
    assert spectrum.grad is not None
    torch.testing.assert_close(spectrum.grad, torch.tensor([0j, 0.6 + 0.8j]))


def test_mel_filterbank_equals_librosa():
    ran = 0
    for sample_rate in (8000, 22050, 44100, 48000):
        for fft in (32, 512, 2048):
            for bands in (1, 5, 80, 320):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Empty filters.
                    theirs = librosa.filters.mel(sr=sample_rate, n_fft=fft, n_mels=bands)
                ours = mel_filterbank(sample_rate, fft, bands)
                np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-8)
                ran += 1
    assert ran == 48
    theirs = librosa.filters.mel(sr=16000, n_fft=400, n_mels=20, fmin=60, fmax=7000)
    np.testing.assert_allclose(
        mel_filterbank(16000, 400, 20, 60, 7000), theirs, rtol=1e-4, atol=1e-8
    )


def test_mel_filterbank_equals_torchaudio():
    theirs = torchaudio.functional.melscale_fbanks(
        1025, 0.0, 22050.0, 128, 44100, norm="slaney", mel_scale="slaney"
    )
    torch.testing.assert_close(mel_filterbank(44100, 2048, 128), theirs.T, rtol=1e-3, atol=1e-6)


def test_mel_filterbank_is_cached():
    assert mel_filterbank(44100, 512, 40) is mel_filterbank(44100, 512, 40)


def test_mel_scale_can_be_undone():
    ran = 0

    @settings(max_examples=100, deadline=None)
    @given(st.floats(0, 1e5))
    def check(hz):
        nonlocal ran
        ran += 1
        x = torch.tensor(hz, dtype=torch.float64)
        assert mel_to_hz(hz_to_mel(x)).item() == pytest.approx(hz, rel=1e-9, abs=1e-9)

    check()
    assert ran >= 100
