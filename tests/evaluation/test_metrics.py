import math

import auraloss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from tests.oracle import import_upstream
from zoo.errors import AudioError
from zoo.evaluation.metrics import (
    MEL_BANDS,
    MEL_WINDOWS,
    STFT_WINDOWS,
    measure,
    mel_distance,
    si_sdr,
    stft_distance,
)

dac_loss = import_upstream("dac.nn.loss")
AudioSignal = import_upstream("audiotools").AudioSignal


def noisy(shape, noise=0.1):
    reference = 0.3 * torch.randn(shape)
    return reference + noise * torch.randn(shape), reference


def si_sdr_by_hand(estimate, reference):
    x, y = estimate.double().numpy().ravel(), reference.double().numpy().ravel()
    x, y = x - x.mean(), y - y.mean()
    target = np.dot(x, y) / np.dot(y, y) * y
    return 10 * math.log10(np.sum(target**2) / np.sum((x - target) ** 2))


@pytest.mark.parametrize("noise", [1e-4, 0.01, 0.1, 10.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_si_sdr_equals_the_formula(channels, noise):
    estimate, reference = noisy((3, channels, 2000), noise)
    estimate = 0.7 * estimate + 0.1
    expected = [si_sdr_by_hand(x, y) for x, y in zip(estimate, reference, strict=True)]
    torch.testing.assert_close(
        si_sdr(estimate, reference), torch.tensor(expected, dtype=torch.float64)
    )


def test_si_sdr_equals_auraloss_torchmetrics_and_dac():
    estimate, reference = noisy((4, 1, 4000))
    ours = si_sdr(estimate, reference)
    auralosss = -auraloss.time.SISDRLoss(reduction="none")(estimate, reference)[:, 0]
    metrics = scale_invariant_signal_distortion_ratio(estimate, reference, zero_mean=True)[:, 0]
    dac = -dac_loss.SISDRLoss(reduction="none")(reference, estimate)[:, 0]
    for theirs in (auralosss, metrics, dac):
        torch.testing.assert_close(ours.float(), theirs, rtol=1e-4, atol=1e-4)


def test_si_sdr_of_stereo_equals_dac():
    estimate, reference = noisy((2, 2, 3000))
    theirs = -dac_loss.SISDRLoss(reduction="none")(reference, estimate)[:, 0]
    torch.testing.assert_close(si_sdr(estimate, reference).float(), theirs, rtol=1e-4, atol=1e-4)


def test_si_sdr_ignores_gain_and_offset():
    ran = 0

    @settings(max_examples=100, deadline=None)
    @given(st.floats(1e-3, 1e3), st.floats(-10, 10), st.integers(2, 200))
    def check(gain, offset, samples):
        nonlocal ran
        ran += 1
        estimate, reference = (x.double() for x in noisy((1, 1, samples)))
        expected = si_sdr(estimate, reference)
        actual = si_sdr(gain * estimate + offset, reference)
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-3)

    check()
    assert ran >= 100


def test_si_sdr_of_perfection_and_silence():
    sound, silence = torch.randn(1, 2, 100), torch.zeros(1, 2, 100)
    constant = torch.full((1, 2, 100), 0.3)
    cases = torch.cat([sound, silence, silence, sound, constant, sound, constant])
    references = torch.cat([sound, silence, sound, silence, silence, constant, sound])
    values = si_sdr(cases, references).tolist()
    assert values == pytest.approx([100, 100, -100, -100, 100, -100, -100])


def dac_mel(estimate, reference, sample_rate):
    loss = dac_loss.MelSpectrogramLoss(
        n_mels=list(MEL_BANDS),
        window_lengths=list(MEL_WINDOWS),
        mel_fmin=[0] * 7,
        mel_fmax=[None] * 7,
        pow=1.0,
        clamp_eps=1e-5,
        mag_weight=0.0,
    )
    return loss(AudioSignal(estimate, sample_rate), AudioSignal(reference, sample_rate))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sample_rate", [16000, 44100])
@pytest.mark.parametrize("shape", [(1, 1, 3000), (1, 2, 5000), (3, 2, 4001)])
def test_mel_and_stft_distance_equal_dac(shape, sample_rate):
    estimate, reference = noisy(shape)
    ours = mel_distance(estimate, reference, sample_rate)
    assert ours.shape == shape[:1]
    theirs = dac_mel(estimate, reference, sample_rate)
    torch.testing.assert_close(ours.mean(), theirs, rtol=1e-4, atol=1e-6)

    ours = stft_distance(estimate, reference)
    assert ours.shape == shape[:1]
    loss = dac_loss.MultiScaleSTFTLoss(window_lengths=list(STFT_WINDOWS))
    theirs = loss(AudioSignal(estimate, sample_rate), AudioSignal(reference, sample_rate))
    torch.testing.assert_close(ours.mean(), theirs, rtol=1e-4, atol=1e-6)


def test_always_finite_and_best_for_equals():
    ran = 0

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(1, 2),
        st.integers(1, 2),
        st.integers(1, 1500),
        st.sampled_from([0.0, 1e-20, 1e-4, 1.0, 100.0]),
        st.sampled_from([0.0, 1e-20, 1.0]),
    )
    def check(batch, channels, samples, gain, noise):
        nonlocal ran
        ran += 1
        reference = gain * torch.randn(batch, channels, samples)
        estimate = reference + noise * torch.randn_like(reference)
        values = [*measure(estimate, reference, 44100).__dict__.values()]
        assert all(map(math.isfinite, values))
        perfect = measure(reference, reference, 44100)
        assert perfect.mel == perfect.stft == 0
        assert perfect.si_sdr_db == pytest.approx(100)

    check()
    assert ran >= 40


def test_float64_is_measured_as_float32_is():
    estimate, reference = noisy((2, 2, 3000))
    both = measure(estimate.double(), reference.double(), 44100)
    alike = measure(estimate.float(), reference.float(), 44100)
    for name in ("si_sdr_db", "mel", "stft"):
        assert getattr(both, name) == pytest.approx(getattr(alike, name), rel=1e-3)


def test_measure_takes_one_signal_or_a_batch_and_averages():
    estimate, reference = noisy((2, 2, 3000))
    both = measure(estimate, reference, 44100)
    one, other = (measure(x, y, 44100) for x, y in zip(estimate, reference, strict=True))
    for name in ("si_sdr_db", "mel", "stft"):
        mean = (getattr(one, name) + getattr(other, name)) / 2
        assert getattr(both, name) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize(
    ("estimate", "reference"),
    [((1, 1, 5), (1, 1, 6)), ((1, 1, 0), (1, 1, 0)), ((5,), (5,)), ((2, 5), (1, 2, 5))],
)
def test_refuses_other_shapes(estimate, reference):
    with pytest.raises(AudioError, match="shape"):
        measure(torch.zeros(estimate), torch.zeros(reference), 44100)
