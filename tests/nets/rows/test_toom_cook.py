"""Short filters against the sum that defines them, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from zoo.nets.rows.toom_cook import EIGHT_TAPS, TWO_TAPS, ShortFilter, nested, toom_cook

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    "short",
    [
        TWO_TAPS,
        EIGHT_TAPS,
        toom_cook(1, 1, ()),
        toom_cook(2, 3, (0, 1, -1)),
        toom_cook(4, 3, (0, 1, -1, HALF, -2)),
        nested(TWO_TAPS_SQUARE := toom_cook(2, 2, (0, 1)), TWO_TAPS_SQUARE),
    ],
)
def test_equals_the_sum(short: ShortFilter):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(short.inputs, dtype=torch.float64, generator=draw)
    taps = torch.randn(short.taps, dtype=torch.float64, generator=draw)
    made = short.combine @ ((short.weigh @ taps) * (short.spread @ x))
    expected = torch.stack([taps @ x[t : t + short.taps] for t in range(short.outputs)])
    assert short.inputs == short.outputs + short.taps - 1
    assert torch.allclose(made, expected, rtol=0, atol=1e-12)


def test_saves_what_it_says():
    assert (TWO_TAPS.outputs, TWO_TAPS.taps, TWO_TAPS.products) == (3, 2, 4)
    assert (EIGHT_TAPS.outputs, EIGHT_TAPS.taps, EIGHT_TAPS.products) == (12, 8, 28)


def test_float32_holds_the_matrices():
    for matrix in (EIGHT_TAPS.spread, EIGHT_TAPS.combine, TWO_TAPS.spread, TWO_TAPS.combine):
        assert (matrix.float().double() - matrix).abs().max() < 1e-7
