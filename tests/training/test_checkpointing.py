"""`checkpointing` of a recipe and of a transformer's own config."""

from __future__ import annotations

import json
import random

import pytest

from tests.examples import random_taae
from zoo.config.resolve import resolve_recipe
from zoo.nets.checkpointing import Checkpointed
from zoo.training.build import build_module


@pytest.mark.parametrize("recipe", ["off", "on"])
@pytest.mark.parametrize("config", [False, True])
def test_either_turns_it_on(tmp_path, recipe, config):
    model = random_taae(random.Random(0))
    for part in (model["model"]["encoder"], model["model"]["decoder"]):
        part["config"] |= {"checkpointing": config, "use_dilated_conv": True}
    (tmp_path / "small.json").write_text(json.dumps(model))
    given = resolve_recipe("starter", str(tmp_path / "small.json"), [f"checkpointing={recipe}"])
    parts = [m for m in build_module(given).model.modules() if isinstance(m, Checkpointed)]
    assert len(parts) > 6
    assert {part.checkpointing for part in parts} == {config or recipe == "on"}
