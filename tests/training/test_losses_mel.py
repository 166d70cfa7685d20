import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import import_upstream
from zoo.training.losses import MultiResolutionMelLoss

CASES = 25


def value_and_gradient(loss, decoded, reals):
    decoded = decoded.clone().requires_grad_()
    value = loss(decoded, reals)
    (gradient,) = torch.autograd.grad(value, decoded)
    return value.detach(), gradient


@pytest.mark.filterwarnings("ignore")
def test_equals_descript_audio_codecs_loss():
    codec = import_upstream("dac.nn.loss")
    signal = import_upstream("audiotools").AudioSignal
    draw = random.Random(0)
    torch.manual_seed(0)
    ran = 0
    for _ in range(CASES):
        windows = [draw.choice([32, 64, 100, 256, 512]) for _ in range(draw.randint(1, 3))]
        rate = draw.choice([16000, 44100])
        config = {
            "clamp_eps": draw.choice([1e-5, 1e-2]),
            "mag_weight": draw.choice([0.0, 0.5]),
            "log_weight": draw.choice([1.0, 0.7]),
        }
        power = draw.choice([1.0, 2.0, 1.5])
        bands = [draw.randint(2, window // 4) for window in windows]
        ours = MultiResolutionMelLoss(rate, bands, windows, **config, power=power)
        none = [None] * len(windows)
        theirs = codec.MelSpectrogramLoss(
            bands, windows, **config, pow=power, mel_fmin=[0.0] * len(windows), mel_fmax=none
        )
        shape = (draw.randint(1, 3), draw.randint(1, 3), draw.randint(300, 900))
        decoded, reals = 0.3 * torch.randn(shape), 0.3 * torch.randn(shape)
        given_value, given_gradient = value_and_gradient(ours, decoded, reals)
        value, gradient = value_and_gradient(
            lambda x, y, theirs=theirs, rate=rate: theirs(signal(x, rate), signal(y, rate)),
            decoded,
            reals,
        )
        torch.testing.assert_close(given_value, value, rtol=1e-5, atol=1e-7)
        scale = float(gradient.abs().max())
        torch.testing.assert_close(given_gradient, gradient, rtol=1e-3, atol=1e-4 * scale)
        ran += 1
    assert ran == CASES


def test_finite_for_any_signal_and_zero_for_equals():
    ran = 0

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 3), st.integers(1, 200), st.sampled_from([0.0, 1e-6, 1.0, 1e3]))
    def check(channels, samples, gain):
        nonlocal ran
        ran += 1
        x = gain * torch.randn(1, channels, samples)
        loss = MultiResolutionMelLoss(44100, (5, 40), (32, 64), mag_weight=1.0)
        same, gradient = value_and_gradient(loss, x, x)
        assert same == 0
        assert torch.isfinite(gradient).all()
        silence, gradient = value_and_gradient(loss, torch.zeros_like(x), x)
        assert torch.isfinite(silence)
        assert torch.isfinite(gradient).all()

    check()
    assert ran >= 40


def test_float32_under_autocast_and_nothing_to_save():
    loss = MultiResolutionMelLoss(44100, (5, 10), (64, 128))
    decoded, reals = torch.randn(2, 1, 2, 300)
    expected = loss(decoded, reals)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss(decoded, reals), expected, rtol=0, atol=0)
    assert not loss.state_dict()
