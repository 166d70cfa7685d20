import random

import auraloss
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.training.losses import l1, l2, normalised_l2, si_sdr


def test_l1_and_l2_are_torchs():
    x, y = torch.randn(2, 3, 2, 50)
    torch.testing.assert_close(l1(x, y), F.l1_loss(x, y))
    torch.testing.assert_close(l2(x, y), F.mse_loss(x, y))


def test_normalised_l2_by_hand():
    x, y = torch.randn(2, 3, 2, 50).double()
    power = (y.square().sum((1, 2)) / 100) + 1e-4
    expected = ((x - y).square().sum((1, 2)) / 100 / power).mean()
    torch.testing.assert_close(normalised_l2(x, y), expected)


def test_a_silent_prediction_costs_one_at_any_level():
    ran = 0

    @settings(max_examples=50, deadline=None)
    @given(st.floats(0.1, 10.0), st.integers(1, 3), st.integers(1, 100))
    def check(level, batch, samples):
        nonlocal ran
        ran += 1
        y = torch.full((batch, 1, samples), level)
        assert normalised_l2(torch.zeros_like(y), y).item() == pytest.approx(1, abs=0.011)
        assert normalised_l2(y, y) == 0

    check()
    assert ran >= 50


@pytest.mark.parametrize("loss", [l1, l2, normalised_l2])
def test_float32_and_finite_for_silence(loss):
    x = torch.zeros(1, 1, 8, dtype=torch.bfloat16)
    assert loss(x, x).dtype == torch.float32
    assert loss(x, x) == 0


def test_si_sdr_equals_auralosss():
    draw = random.Random(0)
    torch.manual_seed(0)
    theirs = auraloss.time.SISDRLoss()
    ran = 0
    for _ in range(50):
        shape = (draw.randint(1, 3), draw.randint(1, 3), draw.randint(2, 500))
        reals = torch.randn(shape) + draw.choice([0.0, 0.5])
        noise = torch.randn(shape) * 10 ** draw.uniform(-3, 1)
        decoded = (draw.uniform(0.1, 3) * reals + noise).requires_grad_()
        value, expected = si_sdr(decoded, reals), theirs(decoded, reals)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(
            torch.autograd.grad(value, decoded)[0],
            torch.autograd.grad(expected, decoded)[0],
            rtol=1e-3,
            atol=1e-5,
        )
        ran += 1
    assert ran == 50


@pytest.mark.parametrize("silent", ["decoded", "reals", "both"])
def test_si_sdr_is_finite_for_silence(silent):
    decoded, reals = torch.randn(2, 1, 1, 50)
    decoded = decoded * (silent == "reals")
    reals = reals * (silent == "decoded")
    decoded.requires_grad_()
    value = si_sdr(decoded, reals)
    assert value.item() == pytest.approx(80)
    assert torch.isfinite(torch.autograd.grad(value, decoded)[0]).all()


@pytest.mark.parametrize("loss", [l1, l2, normalised_l2, si_sdr])
def test_shapes_must_agree(loss):
    with pytest.raises(AssertionError):
        loss(torch.zeros(1, 1, 8), torch.zeros(1, 2, 8))
