"""From a name, a file or a dict to a checked config of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from zoo.config import rules
from zoo.config.base import Config
from zoo.config.library import find
from zoo.config.model import (
    DiffusionAutoencoderConfigContainer,
    HyperencoderConfigContainer,
    ModelContainer,
    StandardAutoencoderConfigContainer,
)
from zoo.config.problems import validate
from zoo.errors import ConfigError, Problem, did_you_mean

_KINDS: dict[str, type[ModelContainer]] = {
    "autoencoder": StandardAutoencoderConfigContainer,
    "hyperencoder": HyperencoderConfigContainer,
    "diffusion_autoencoder": DiffusionAutoencoderConfigContainer,
}


def load_config(source: str | Path | Mapping[str, Any] | Config) -> ModelContainer:
    """A model config, checked in full.

    Args:
        source: a name of `zoo.list_models()`, a path to a .json or .yaml file, a dict in the
            form of stable-audio-tools, or a config object.

    Raises:
        ConfigError: with every problem found.
    """
    if isinstance(source, str | Path):
        path = find("configs", str(source))
        return parse_container(read_mapping(path), str(source))
    if isinstance(source, Config):
        source = source.to_dict()
    if not isinstance(source, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"a config is a name, a path or a dict, not {type(source).__name__}")
    return parse_container(source)


def parse_container(data: Mapping[str, Any], source: str = "") -> ModelContainer:
    """`data` as the container of its kind, through both passes. Raises: ConfigError."""
    container = parse_schema(data, source).completed()
    rules.check(container, source)
    return container


def parse_schema(data: Mapping[str, Any], source: str = "") -> ModelContainer:
    """`data` as the container of its kind, through the schema alone. Raises: ConfigError."""
    return validate(_KINDS[model_kind(data, source)], data, source)


def model_kind(data: Mapping[str, Any], source: str = "") -> str:
    """`model_type`, or what the sections of the model make it. Raises: ConfigError."""
    kind = data.get("model_type")
    if kind is None:
        model = data.get("model")
        diffusion = isinstance(model, Mapping) and "diffusion" in model
        return "diffusion_autoencoder" if diffusion else "autoencoder"
    if not isinstance(kind, str) or kind not in _KINDS:
        allowed = ", ".join(_KINDS)
        message = f"unknown value '{kind}'{did_you_mean(str(kind), _KINDS)} (allowed: {allowed})"
        raise ConfigError([Problem("model_type", message)], source)
    return kind


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file. Raises: ConfigError."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        data: Any = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})", str(path)
        ) from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"not valid YAML: {problem}{line}", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"cannot be read: {reason}", str(path)) from None
    if not isinstance(data, dict):
        raise ConfigError("must be a mapping of keys to values", str(path))
    return cast(dict[str, Any], data)
