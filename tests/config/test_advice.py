"""When a sound config is warned of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.config.small_diffusion import AROUND, changed, config
from zoo.config.advice import advice
from zoo.config.load import load_config

JUDGED: list[bool] = []


def warnings(base, **changes):
    return list(advice(load_config(changed(base, changes))))


@settings(max_examples=100, deadline=None)
@given(
    patch=st.integers(1, 48),
    around=st.booleans(),
    surplus=st.integers(-1000, 30_000) | st.integers(-1000, 0),
)
def test_more_than_2000_tokens_a_second_are_too_many(patch, around, surplus):
    ratio = 2 if around else 1
    rate = 2000 * ratio * patch + surplus
    base = changed(config(patch_size=patch), {"sample_rate": rate, **(AROUND if around else {})})
    found = warnings(base)
    assert bool(found) == (surplus > 0)
    for warning in found:
        assert warning.path == "model.diffusion.config.patch_size"
        tokens = f"{rate / ratio / patch:,.0f}"
        assert warning.message.startswith(f"{patch} means {tokens} tokens per second of audio")
    JUDGED.append(bool(found))


def test_how_many_were_judged():
    assert len(JUDGED) >= 90
    assert 10 <= sum(JUDGED) <= len(JUDGED) - 10


@pytest.mark.parametrize(
    ("window", "warned"),
    [(None, True), ([63, 64], False), ([0, 0], False), ([-1, 3], True), ([3, -1], True)],
)
def test_a_window_on_both_sides_is_enough(window, warned):
    assert bool(warnings(config(sliding_window=window))) == warned


def test_other_networks_are_not_warned_of(tiny):
    for base in (config("adp_1d"), config("DAU1d"), config(depth=0), tiny):
        assert warnings(base) == []
