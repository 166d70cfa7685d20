"""Filters over rows against torch's convolution in float64."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from zoo.nets.rows.filter import RowFilter

WAYS: Counter[str] = Counter()
CHANNELS = [(1, 40), (2, 33), (40, 2), (36, 48), (64, 64), (7, 5)]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CHANNELS),
    st.sampled_from([1, 2, 3, 6, 7, 8]),
    st.sampled_from([1, 2, 9]),
    st.integers(1, 400),
    st.booleans(),
    st.integers(0, 99),
)
def check(channels, taps, dilation, rows, bias, seed):
    draw = torch.Generator().manual_seed(seed)
    into, out = channels
    weight = torch.randn(taps, into, out, generator=draw) / (taps * into) ** 0.5
    offset = torch.randn(out, generator=draw) if bias else None
    plus = torch.randn(rows, out, generator=draw) if seed % 2 else None
    made = RowFilter(weight, offset, dilation)
    made.prepare(rows)
    x = torch.randn(made.rows_read(rows), into, generator=draw)
    y = torch.full((rows, out), float("nan"))
    made.into(y, x, plus)
    signal = x[: rows + made.reach].T[None].double()
    expected = F.conv1d(signal, weight.permute(2, 1, 0).double(), None, dilation=dilation)[0].T
    expected = expected + (0 if offset is None else offset) + (0 if plus is None else plus)
    assert y.shape == expected.shape
    assert (y - expected).abs().max() < 1e-5 * max(1, float(expected.abs().max()))
    WAYS["fast" if made._fast is not None else "direct"] += 1


def test_equals_the_convolution():
    check()
    assert WAYS["fast"] > 5 and WAYS["direct"] > 5, WAYS


@pytest.mark.parametrize(("taps", "rows", "fast"), [(7, 12, True), (7, 2, False), (1, 12, False)])
def test_takes_the_faster_way(taps, rows, fast):
    made = RowFilter(torch.randn(taps, 128, 128), None)
    made.prepare(rows)
    assert (made._fast is not None) == fast
