"""What a weight file knows of its training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from zoo.checkpoints.files import METRICS_KEY, TRAINING_KEY
from zoo.checkpoints.tensor_file import SafeTensors
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import RECIPE_FILE


@dataclass(frozen=True)
class TrainingFacts:
    """How a model came to its weights, as far as its file says.

    Args:
        steps: updates.
        metrics: of the last validation before the file was written.
        recipe: its name.
        data: what it was trained on, in words.
    """

    steps: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    recipe: str | None = None
    data: str | None = None
    seed: int | None = None
    batch_size: int | None = None
    precision: str | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def training_facts(path: Path) -> TrainingFacts:
    """The facts in a checkpoint of `zoo train` and its run folder, or in a file made of one."""
    if path.suffix == ".safetensors":
        return _parsed(SafeTensors(path).metadata.get(TRAINING_KEY, ""))
    content = read_ckpt(path)
    steps = content.get("global_step")
    recipe = _recipe(path.absolute().parent.parent / RECIPE_FILE)
    data, trainer = (_section(recipe, name) for name in ("data", "trainer"))
    return TrainingFacts(
        steps=steps if isinstance(steps, int) else None,
        metrics=_numbers(content.get(METRICS_KEY)),
        recipe=recipe.get("name"),
        data=_material(data),
        seed=recipe.get("seed"),
        batch_size=data.get("batch_size"),
        precision=trainer.get("precision"),
    )


def _recipe(path: Path) -> Mapping[str, Any]:
    """A run's own recipe; nothing where there is none that can be read."""
    import yaml

    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return cast(dict[str, Any], recipe) if isinstance(recipe, dict) else {}


def _section(recipe: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = recipe.get(name)
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _material(data: Mapping[str, Any]) -> str | None:
    """What was heard, without the paths of the machine."""
    if not data:
        return None
    return "audio files" if data.get("folder") else "practice audio, synthesised"


def _numbers(given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        return {}
    pairs = cast(Mapping[Any, Any], given).items()
    return {str(key): float(value) for key, value in pairs if isinstance(value, int | float)}


def _parsed(text: str) -> TrainingFacts:
    """The facts as `to_json` wrote them; none of another form."""
    try:
        return TrainingFacts(**json.loads(text))
    except (ValueError, TypeError):
        return TrainingFacts()
