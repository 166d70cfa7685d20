"""Repairs of contradicting configs."""

from __future__ import annotations

import copy

import pytest

import zoo
from tests.examples import MINIMAL, STANDARD
from zoo.config.load import load_config
from zoo.config.repair import repair
from zoo.errors import ConfigError


def test_the_contradicting_example_is_mended_and_builds():
    before = copy.deepcopy(STANDARD)
    result = repair(STANDARD)
    assert before == STANDARD
    assert {change.path: change.after for change in result.changes} == {
        "model.downsampling_ratio": 512,
        "model.encoder.config.latent_dim": 256,
    }
    assert result.remaining == ()
    fixed = load_config(result.config)
    assert fixed.model.latent_dim == 128
    assert fixed.model.decoder == load_config(fixed).model.decoder
    assert repair(result.config).changes == ()


def test_a_sound_config_stays_as_it_is():
    result = repair(MINIMAL)
    assert (result.config, result.changes, result.remaining) == (MINIMAL, (), ())


def test_a_mended_tiny_model_runs(tiny):
    import torch

    tiny["model"]["downsampling_ratio"] = 100
    tiny["model"]["encoder"]["config"]["latent_dim"] = 3
    model = zoo.from_config(repair(tiny).config)
    audio = torch.randn(1, 2, 64)
    assert model(audio).shape == audio.shape


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("decoder", "latent_dim", 7), ("encoder", "in_channels", 1), ("decoder", "strides", [2, 2])],
)
def test_what_has_no_rule_is_listed_and_not_changed(tiny, part, key, value):
    tiny["model"][part]["config"][key] = value
    result = repair(tiny)
    assert result.changes == ()
    assert any(problem.path == f"model.{part}.config.{key}" for problem in result.remaining)


def test_schema_problems_leave_nothing_to_compare(tiny):
    tiny["model"]["latent_dm"] = 3
    with pytest.raises(ConfigError, match="latent_dm"):
        repair(tiny)
