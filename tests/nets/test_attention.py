"""Windowed attention against its formula with a mask, in double precision."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.nets.attention import Attention, attend
from zoo.nets.rotary import RotaryEmbedding

RAN: list[str] = []

SIDES = st.one_of(st.integers(-1, 12), st.integers(0, 400))


def turned(x, inv_freq):
    """Each pair (i, i + half) as a complex number, turned by position times frequency."""
    half = inv_freq.numel()
    pairs = torch.complex(x[..., :half], x[..., half : 2 * half])
    angles = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * inv_freq
    pairs = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat((pairs.real, pairs.imag, x[..., 2 * half :]), dim=-1)


def formula(q, k, v, window, inv_freq=None):
    if inv_freq is not None:
        q, k = turned(q, inv_freq), turned(k, inv_freq)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    left, right = window or (-1, -1)
    distance = torch.arange(q.shape[-2]) - torch.arange(q.shape[-2])[:, None]
    seen = torch.ones_like(distance, dtype=torch.bool)
    if left >= 0:
        seen &= distance >= -left
    if right >= 0:
        seen &= distance <= right
    return scores.masked_fill(~seen, -torch.inf).softmax(-1) @ v


@settings(max_examples=120, deadline=None)
@given(
    frames=st.one_of(st.integers(1, 9), st.integers(1, 300)),
    window=st.one_of(st.none(), st.tuples(SIDES, SIDES)),
    heads=st.integers(1, 3),
    width=st.integers(2, 9),
    rotated=st.one_of(st.none(), st.integers(0, 2)),
    seed=st.integers(0, 1000),
)
def test_equals_the_formula_with_a_mask(frames, window, heads, width, rotated, seed):
    torch.manual_seed(seed)
    q, k, v = torch.randn(3, 2, heads, frames, width, dtype=torch.float64)
    rotary = None if rotated is None else RotaryEmbedding(rotated)
    expected = formula(q, k, v, window, rotary and rotary.inv_freq.double())
    inputs = [x.float().requires_grad_() for x in (q, k, v)]
    given = attend(*inputs, window=window, rotary=rotary)
    torch.testing.assert_close(given.double(), expected, atol=1e-5, rtol=1e-5)

    exact = [x.requires_grad_() for x in (q, k, v)]
    expected = formula(*exact, window, rotary and rotary.inv_freq.double())
    weight = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, exact, weight)
    found = torch.autograd.grad(given, inputs, weight.float())
    for mine, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine.double(), other, atol=2e-5, rtol=2e-5)
    RAN.append("global" if window is None else "windowed")


def test_how_many_ran():
    assert len(RAN) >= 120
    assert min(RAN.count("global"), RAN.count("windowed")) >= 20


@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65, 127, 128, 129, 200, 1000])
@pytest.mark.parametrize("window", [(0, 0), (0, 5), (5, 0), (63, 64), (3, 999), (5000, 5000)])
def test_block_edges_equal_the_formula(frames, window):
    torch.manual_seed(frames)
    q, k, v = torch.randn(3, 1, 1, frames, 4, dtype=torch.float64)
    torch.testing.assert_close(attend(q, k, v, window), formula(q, k, v, window))


def test_positions_are_relative_however_late():
    """In one float32 table of angles the late ones would be off by hundredths."""
    torch.manual_seed(0)
    frames, window = 400_000, (6, 5)
    q, k, v = torch.randn(3, 1, 1, frames, 4)
    rotary = RotaryEmbedding(4)
    late = attend(q, k, v, window, rotary)[..., -200:, :]
    alone = attend(*(x[..., -206:, :] for x in (q, k, v)), window, rotary)[..., 6:, :]
    torch.testing.assert_close(late, alone, atol=1e-6, rtol=1e-6)


class LargestTensor(TorchDispatchMode):
    """How many numbers the largest result of any operation holds."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.elements = max(self.elements, value.numel())
        return result


def test_memory_grows_with_the_length_alone():
    attention = Attention(16, 8, window=(15, 16), qk_norm="ln")
    rotary = RotaryEmbedding(4)
    kept, largest = [], []
    for frames in (1000, 4000):
        saved: list[int] = []
        with (
            LargestTensor() as watched,
            torch.autograd.graph.saved_tensors_hooks(
                lambda x, saved=saved: (saved.append(x.numel()), x)[1], lambda x: x
            ),
        ):
            attention(torch.randn(1, frames, 16), rotary).sum().backward()
        kept.append(sum(saved))
        largest.append(watched.elements)
    assert kept[1] <= 4.5 * kept[0]
    assert largest[1] <= 4.5 * largest[0]
    assert largest[1] < 4000 * 16 * 10


def test_global_attention_says_that_it_has_no_reach():
    assert Attention(4, 4, window=(3, 2)).reach == (3, 2)
    for window in (None, (-1, 3), (3, -1)):
        with pytest.raises(NotImplementedError, match="the whole signal"):
            _ = Attention(4, 4, window=window).reach


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_half_precision_stays_close(kind):
    torch.manual_seed(0)
    attention = Attention(32, 16, window=(9, 9), qk_norm="ln", zero_init_output=False)
    x, rotary = torch.randn(2, 300, 32), RotaryEmbedding(8)
    expected = attention(x, rotary)
    with torch.autocast("cpu", kind, enabled=kind is not torch.float32):
        given = attention(x, rotary)
    assert given.dtype is kind
    torch.testing.assert_close(given.float(), expected, atol=0.05, rtol=0.05)
    if kind is not torch.float32:
        converted = attention.to(kind)(x.to(kind), rotary.to(kind))
        torch.testing.assert_close(converted.float(), expected, atol=0.05, rtol=0.05)


def test_every_combination_of_length_and_window_has_finite_gradients():
    ran = 0
    for frames, left, right in itertools.product((1, 3, 65, 130), (0, 2, 70), (0, 2, 70)):
        x = torch.randn(3, 1, 2, frames, 3, requires_grad=True)
        attend(*x, window=(left, right), rotary=RotaryEmbedding(1)).square().sum().backward()
        assert x.grad is not None and x.grad.isfinite().all()
        ran += 1
    assert ran == 36
