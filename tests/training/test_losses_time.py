import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.training.losses import l1, l2, normalised_l2


def test_l1_and_l2_are_torchs():
    x, y = torch.randn(2, 3, 2, 50)
    torch.testing.assert_close(l1(x, y), F.l1_loss(x, y))
    torch.testing.assert_close(l2(x, y), F.mse_loss(x, y))


def test_normalised_l2_by_hand():
    x, y = torch.randn(2, 3, 2, 50).double()
    power = (y.square().sum((1, 2)) / 100) + 1e-4
    expected = ((x - y).square().sum((1, 2)) / 100 / power).mean()
    torch.testing.assert_close(normalised_l2(x, y), expected.float())


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


@pytest.mark.parametrize("loss", [l1, l2, normalised_l2])
def test_shapes_must_agree(loss):
    with pytest.raises(AssertionError):
        loss(torch.zeros(1, 1, 8), torch.zeros(1, 2, 8))
