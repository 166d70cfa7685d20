"""The configs and recipes that come with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from zoo.errors import ConfigError, did_you_mean

Kind = Literal["configs", "recipes"]
_NOUN = {"configs": "model", "recipes": "recipe"}
_PACKAGE = Path(__file__).resolve().parents[1]


def folder(kind: Kind) -> Path:
    """Where they lie: inside an installed wheel, else at the root of the checkout."""
    packed = _PACKAGE / f"_{kind}"
    return packed if packed.is_dir() else _PACKAGE.parent / kind


def names(kind: Kind) -> list[str]:
    """Names of all configs or recipes, sorted."""
    return sorted(p.stem for p in folder(kind).glob("*.*") if p.suffix in (".json", ".yaml"))


def list_models(pretrained: bool = False) -> list[str]:
    """Names that `zoo.from_config` takes; those with published weights, if `pretrained`."""
    known = names("configs")
    return [name for name in known if has_weights(name)] if pretrained else known


def has_weights(name: str) -> bool:
    """Whether the config of this name says where published weights are."""
    path = find("configs", name)
    # Checking configs in full takes long.
    return path.suffix == ".json" and "published" in json.loads(path.read_text(encoding="utf-8"))


def list_recipes() -> list[str]:
    """Names that `zoo train recipe=` takes."""
    return names("recipes")


def find(kind: Kind, name: str) -> Path:
    """The file of a name, or of a path to a .json or .yaml file. Raises: ConfigError."""
    path = Path(name)
    if path.suffix in (".json", ".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError("no such file", source=name)
        return path
    for suffix in (".json", ".yaml"):
        packed = folder(kind) / f"{name}{suffix}"
        if packed.is_file():
            return packed
    noun, known = _NOUN[kind], names(kind)
    raise ConfigError(
        f"unknown {noun} '{name}'{did_you_mean(name, known)} "
        f"(`zoo list {noun}s` shows all; a path ends in .json or .yaml)"
    )
