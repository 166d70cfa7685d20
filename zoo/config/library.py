"""The configs and recipes that come with the package."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from zoo.errors import ConfigError, did_you_mean

Kind = Literal["configs", "recipes"]
_NOUN = {"configs": "model", "recipes": "recipe"}
_PACKAGE = Path(__file__).resolve().parents[1]
_SUFFIXES = (".json", ".yaml")
_RATE = re.compile(r"_\d+k$")
# What commands work with where nobody names a model and nothing has been trained.
INCLUDED = "starter_22k"


def folder(kind: Kind) -> Path:
    """Where they lie: inside an installed wheel, else at the root of the checkout."""
    packed = _PACKAGE / f"_{kind}"
    return packed if packed.is_dir() else _PACKAGE.parent / kind


def names(kind: Kind) -> list[str]:
    """Names of all configs or recipes, sorted."""
    return sorted(p.stem for p in folder(kind).glob("*.*") if p.suffix in _SUFFIXES)


def list_models(pretrained: bool = False) -> list[str]:
    """Names that `zoo.from_config` takes; those with published weights, if `pretrained`.

    A sample rate at their end may be left out, where that still means one of them.
    """
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


def model_named(name: str) -> str | None:
    """The one of `list_models()` that is meant by `name`, which may lack the rate at its end."""
    meant = _meant("configs", name)
    return meant[0] if len(meant) == 1 else None


def find(kind: Kind, name: str) -> Path:
    """The file of a name, or of a path to a .json or .yaml file. Raises: ConfigError."""
    path = Path(name)
    if path.suffix in (".json", ".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError("no such file", source=name)
        return path
    meant = _meant(kind, name)
    if len(meant) == 1:
        files = [folder(kind) / f"{meant[0]}{suffix}" for suffix in _SUFFIXES]
        return next(file for file in files if file.is_file())
    if meant:
        raise ConfigError(f"{_NOUN[kind]} '{name}': which one? {', '.join(meant)}")
    noun, known = _NOUN[kind], names(kind)
    raise ConfigError(
        f"unknown {noun} '{name}'{did_you_mean(name, known)} "
        f"(`zoo list {noun}s` shows all; a path ends in .json or .yaml)"
    )


def _meant(kind: Kind, name: str) -> list[str]:
    known = names(kind)
    if name in known or kind == "recipes":
        return [name] if name in known else []
    return [full for full in known if _RATE.sub("", full) == name]
