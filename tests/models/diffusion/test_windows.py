"""Windows: whatever the cores and contexts, a whole that fits together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from zoo.models.diffusion.windows import Windows

CASES = 150
sizes = st.integers(1, 40)
sides = st.integers(0, 30)
reaches = st.none() | st.tuples(sides, sides)
overlaps = st.none() | st.integers(0, 50)


def drawn(data, unit):
    """Windows of any sort."""
    return Windows.planned(data.draw(sizes), data.draw(overlaps), data.draw(reaches), unit)


def test_planned_is_enough_and_fits():
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(chunk=sizes, overlap=overlaps, reach=reaches, unit=st.integers(1, 7))
    def check(chunk, overlap, reach, unit):
        nonlocal ran
        windows = Windows.planned(chunk, overlap, reach, unit)
        assert windows.exact == (reach is not None)
        assert chunk <= windows.core < chunk + unit and windows.core % unit == 0
        shared = (0 if reach else chunk // 2) if overlap is None else overlap
        assert sum(windows.context) >= shared
        for side, needed in zip(windows.context, reach or (0, 0), strict=True):
            assert side % unit == 0
            assert max(needed, shared / 2) <= side < max(needed, (shared + 1) / 2) + unit
        ran += 1

    check()
    assert ran >= CASES


@pytest.mark.parametrize("chunk", [0, -5])
def test_an_empty_chunk_is_refused(chunk):
    with pytest.raises(ValueError, match=f"chunk_size is {chunk}, but must be at least 1"):
        Windows.planned(chunk, None, None, 1)


def test_what_depends_on_the_position_alone_comes_back():
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(st.data())
    def check(data):
        nonlocal ran
        unit, length = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
        windows = drawn(data, unit)
        frames = unit * data.draw(st.integers(1, 60))
        whole = torch.randn(2, 3, frames * length, dtype=torch.float64)

        def predict(first, last):
            assert 0 <= first < last <= frames
            assert first % unit == last % unit == 0
            assert last - first <= windows.core + sum(windows.context)
            return whole[..., first * length : last * length]

        found = windows.predict(predict, frames, length)
        torch.testing.assert_close(found, whole)
        ran += 1

    check()
    assert ran >= CASES


def numbered(windows, frames, length):
    """The result where each window predicts its number, and how many there were."""
    count = 0

    def predict(first, last):
        nonlocal count
        count += 1
        return torch.full((1, 1, (last - first) * length), count - 1.0, dtype=torch.float64)

    return windows.predict(predict, frames, length)[0, 0], count


def test_exact_windows_are_cut_at_their_cores():
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(chunk=sizes, reach=st.tuples(sides, sides), frames=st.integers(1, 99), length=sizes)
    def check(chunk, reach, frames, length):
        nonlocal ran
        found, count = numbered(Windows.planned(chunk, None, reach, 1), frames, length)
        assert count == -(-frames // chunk)
        expected = torch.arange(frames).div(chunk, rounding_mode="floor")
        assert torch.equal(found, expected.repeat_interleave(length).double())
        ran += 1

    check()
    assert ran >= CASES


def test_others_fade_evenly_into_each_other():
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(side=st.integers(1, 9), more=st.integers(0, 9), length=st.integers(1, 9))
    def check(side, more, length):
        nonlocal ran
        core, context = 2 * side + more, side * length
        windows = Windows.planned(core, 2 * side, None, 1)
        found, count = numbered(windows, 3 * core, length)
        assert count == 3
        position = torch.arange(2 * core * length, dtype=torch.float64) + 0.5
        # From one window to the next around the border of their cores, in a straight line.
        ramp = ((position - core * length) / (2 * context) + 0.5).clamp(0, 1)
        torch.testing.assert_close(
            found[: len(ramp) - context], ramp[: len(ramp) - context], atol=1e-6, rtol=0
        )
        assert (found.diff() > -1e-6).all() and found.diff().max() < 0.5 / context + 1e-6
        ran += 1

    check()
    assert ran >= CASES


def test_any_fade_is_a_mean_of_the_windows_there():
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(st.data())
    def check(data):
        nonlocal ran
        frames, length = data.draw(st.integers(1, 99)), data.draw(st.integers(1, 4))
        windows = drawn(data, 1)
        found, _ = numbered(windows, frames, length)
        frame = torch.arange(frames).repeat_interleave(length)
        before, after = windows.context
        first = (frame - after).clamp(min=0).div(windows.core, rounding_mode="floor")
        last = (frame + before).clamp(max=frames - 1).div(windows.core, rounding_mode="floor")
        assert (found >= first - 1e-9).all() and (found <= last + 1e-9).all()
        ran += 1

    check()
    assert ran >= CASES


def test_exact_windows_of_a_convolution_equal_the_whole():
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(st.data())
    def check(data):
        nonlocal ran
        unit, length = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
        frames = unit * data.draw(st.integers(1, 60))
        before, after = data.draw(sides), data.draw(sides)
        kernel = torch.rand(1, 1, before + 1 + after, dtype=torch.float64) + 0.1
        signal = torch.randn(2, 1, frames * length, dtype=torch.float64)

        def filtered(first, last):
            part = signal[..., first * length : last * length]
            return F.conv1d(F.pad(part, (before, after)), kernel)

        reach = (-(-before // length), -(-after // length))
        windows = Windows.planned(data.draw(sizes), data.draw(overlaps), reach, unit)
        found = windows.predict(filtered, frames, length)
        torch.testing.assert_close(found, filtered(0, frames))
        ran += 1

    check()
    assert ran >= CASES
