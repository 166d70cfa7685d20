"""A new run that begins with the weights of another."""

from __future__ import annotations

import pytest
import torch

import zoo
from tests.shrunk import shrunk
from zoo.errors import CheckpointError
from zoo.training.build import build_module


def test_a_run_begins_with_all_weights_and_says_so(run, tmp_path, capsys):
    module = build_module(shrunk("starter", tmp_path, f"init_from={run}"))
    trained = zoo.from_checkpoint(run).state_dict()
    begun = module.model.state_dict()
    assert begun.keys() == trained.keys()
    assert all(torch.equal(begun[key], value) for key, value in trained.items())
    said = capsys.readouterr().err
    assert f"begins with {run}" in said
    assert f"{len(trained)} keys matched" in said


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.encoder.config.channels=8", "encoder"),
        ("init_from=missing/run", "missing/run"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(run, tmp_path, override, message):
    recipe = shrunk("starter", tmp_path, f"init_from={run}", override)
    with pytest.raises(CheckpointError, match=message):
        build_module(recipe)


def test_parts_are_taken_only_where_they_are_asked_for(run, tmp_path):
    """Another decoder: all weights don't fit, the encoder's do."""
    other = "model.decoder.config.channels=8"
    with pytest.raises(CheckpointError, match="decoder"):
        build_module(shrunk("starter", tmp_path, f"init_from={run}", other))
    parts = "init_parts=[encoder]"
    module = build_module(shrunk("starter", tmp_path, f"init_from={run}", other, parts))
    trained = zoo.from_checkpoint(run).encoder.state_dict()
    for key, value in module.model.encoder.state_dict().items():
        assert torch.equal(value, trained[key])
