"""Windows of few shapes against the whole; the shapes are counted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import zoo
from tests.conftest import TINY
from zoo.nets.compiled import WINDOWS, CompiledNetwork, window_size, window_starts


class Counting:
    """Stands in for the compiler: notes the shapes that would be compiled."""

    def __init__(self, module: nn.Module, shapes: set[torch.Size]) -> None:
        self.module, self.shapes = module, shapes

    def __call__(self, x: Tensor) -> Tensor:
        self.shapes.add(x.shape)
        return self.module(x)


@torch.no_grad()
@pytest.mark.parametrize(("part", "units"), [("encoder", (8, 1)), ("decoder", (1, 8))])
def test_windows_give_the_whole(part, units):
    torch.manual_seed(0)
    network = getattr(zoo.from_config(TINY), part)
    shapes: set[torch.Size] = set()
    compiled = CompiledNetwork(network, *units, compiler=lambda m: Counting(m, shapes))
    into = 2 if part == "encoder" else 3
    lengths = [1, 15, 16, 17, 100, 101, 333, *range(400, 420), 2500]
    for frames in lengths:
        x = torch.randn(1, into, frames * units[0])
        expected, made = network(x), compiled(x)
        assert made.shape == expected.shape
        assert (made - expected).abs().max() < 1e-5 * max(1, float(expected.abs().max()))
    assert 0 < len(shapes) <= len(WINDOWS) < len(lengths)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 40), st.integers(0, 40))
def test_windows_cover_each_frame_with_its_context(frames, before, after):
    size = window_size(frames, (before, after))
    if size is None:
        assert frames < min(size for size in WINDOWS if size > before + after)
        return
    covered: set[int] = set()
    for start in window_starts(frames, size, (before, after)):
        assert 0 <= start <= frames - size
        first = 0 if start == 0 else start + before
        last = frames if start + size == frames else start + size - after
        covered.update(range(first, last))
    assert covered == set(range(frames))


@torch.no_grad()
def test_what_sees_everything_runs_whole():
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(-1, keepdim=True)

    x = torch.randn(1, 2, 64)
    assert torch.allclose(CompiledNetwork(Mean(), 1, 1)(x), Mean()(x))
