"""What a config of `DAU1d` derives and refuses."""

from __future__ import annotations

import pytest

from zoo.config.dau import DAU1DConfig
from zoo.config.problems import validate
from zoo.errors import ConfigError

SMALL = {"depth": 3, "n_attn_layers": 0, "channels": [4, 5, 6], "strides": [2, 2]}


def part_of(**changes):
    return validate(DAU1DConfig, {"type": "DAU1d", "config": {**SMALL, **changes}})


def problems(**changes):
    part = part_of(**changes).completed(2, 8)
    return list(part.contradictions(2, 8))


def test_what_is_absent_follows_from_the_model():
    part = part_of()
    completed = part.completed(6, 5)
    assert (completed.config.io_channels, completed.config.cond_dim) == (6, 5)
    assert completed.completed(1, 1) == completed
    assert part.config.io_channels is None
    assert "io_channels" not in part.to_dict()["config"]
    assert "diffusion_objective" not in completed.options()


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({}, 4),
        ({"strides": [3, 5, 7], "learned_resample": True}, 15),
        ({"depth": 2}, 2),
        ({"strides": [1, 1], "learned_resample": True}, 1),
    ],
)
def test_ratio_is_of_the_strides_that_are_used(changes, ratio):
    assert part_of(**changes).ratio == ratio
    assert problems(**changes) == []


def test_defaults():
    part = validate(DAU1DConfig, {"type": "DAU1d"}).completed(2, 8)
    assert part.ratio == 2**13
    assert list(part.contradictions(2, 8)) == []
    assert part.objective == "v"
    assert part_of(diffusion_objective="rectified_flow").objective == "rectified_flow"


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"channels": [4, 5]}, "config.channels", "2 channels, but depth 3"),
        ({"strides": [2]}, "config.strides", "1 strides, but depth 3"),
        ({"strides": [2, 4]}, "config.learned_resample", "strides has 4"),
        ({"strides": [1, 2]}, "config.learned_resample", "strides has 1"),
        (
            {"n_attn_layers": 1, "channels": [32, 31, 32], "depth": 3},
            "config.channels",
            "31 at level 2 of depth 3",
        ),
        ({"n_attn_layers": 3, "channels": [97, 32, 32]}, "config.channels", "97 // 32 = 3"),
        ({"io_channels": 1}, "config.io_channels", "1, but must be 2"),
        ({"cond_dim": 0}, "config.cond_dim", "0, but must be 8"),
    ],
)
def test_contradictions_are_refused_by_name(changes, path, words):
    (problem,) = problems(**changes)
    assert problem.path == path
    assert words in problem.message


def test_contradictions_come_all_at_once():
    found = problems(
        channels=[4, 5, 6],
        depth=4,
        n_attn_layers=9,
        strides=[4],
        io_channels=1,
        cond_dim=1,
    )
    assert [problem.path for problem in found] == [
        "config.channels",
        "config.strides",
        "config.learned_resample",
        *["config.channels"] * 3,
        "config.io_channels",
        "config.cond_dim",
    ]


def test_attention_reaches_one_level_above_those_that_attend():
    assert problems(n_attn_layers=1, channels=[4, 32, 32]) != []
    assert problems(depth=4, strides=[2] * 3, n_attn_layers=1, channels=[4, 32, 32, 32]) == []
    assert problems(depth=4, strides=[2] * 3, n_attn_layers=0, channels=[1, 1, 1, 1]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 1}, "config.depth: .*2"),
        ({"kernel_size": 4}, "config.kernel_size: must be odd"),
        ({"kernel_size": -1}, "config.kernel_size"),
        ({"stride": [2]}, "did you mean 'strides'"),
        ({"channels": [0, 1, 1]}, r"config.channels\[?.0"),
        ({"n_attn_layers": -1}, "config.n_attn_layers"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        part_of(**changes)
