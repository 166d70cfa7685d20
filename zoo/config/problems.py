"""From a pydantic error to problems with the user's own key paths."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from zoo.errors import ConfigError, Problem, did_you_mean

ConfigT = TypeVar("ConfigT", bound=BaseModel)
Location = tuple[int | str, ...]


def validate(cls: type[ConfigT], data: Any, source: str = "") -> ConfigT:
    """`data` as a `cls`, or a ConfigError with every schema problem at once."""
    return cast(ConfigT, validate_any(cls, data, source))


def validate_any(annotation: Any, data: Any, source: str = "") -> Any:
    """As `validate`, for a config class or a union of them."""
    try:
        return TypeAdapter(annotation).validate_python(data)
    except ValidationError as error:
        found = error.errors()
    problems = [_problem(annotation, data, details) for details in found if _counts(details, found)]
    raise ConfigError(problems, source)


def _counts(details: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """False for a list that is too short for its own wrong items, which pydantic leaves out."""
    at = details["loc"]
    within = (other["loc"] for other in others if other["loc"] != at)
    return details["type"] != "too_short" or not any(loc[: len(at)] == at for loc in within)


def _problem(annotation: Any, data: Any, details: ErrorDetails) -> Problem:
    kind, location = details["type"], details["loc"]
    context = details.get("ctx", {})
    path = _as_written(data, location, keep_last=kind == "missing")
    if kind == "extra_forbidden":
        known = _keys_at(annotation, location[:-1])
        return Problem(path, f"unknown key{did_you_mean(str(location[-1]), known)}")
    if kind == "missing":
        return Problem(path, "required, but missing")
    if kind == "union_tag_not_found":
        allowed = _tags_at(annotation, location)
        meant = get_close_matches("type", [str(key) for key in details["input"]], n=1)
        hint = f" (is '{meant[0]}' meant to be it?)" if meant else ""
        return Problem(
            _join(path, "type"), f"required, but missing{hint}; allowed: {', '.join(allowed)}"
        )
    if kind == "union_tag_invalid":
        allowed = _tags_at(annotation, location)
        return Problem(_join(path, "type"), _unknown(context["tag"], allowed))
    if kind in ("literal_error", "enum") and isinstance(details["input"], str):
        allowed = [word.strip("' ") for word in context["expected"].replace(" or ", ",").split(",")]
        return Problem(path, _unknown(details["input"], allowed))
    if kind == "value_error":
        return Problem(path, str(context["error"]))
    message = details["msg"].replace("Input should be", "must be").replace("Tuple", "List")
    message = message[0].lower() + message[1:]
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        message = "must be a mapping of keys to values"
    return Problem(path, f"{message}, not {_shown(details['input'])}")


def _unknown(word: str, allowed: list[str]) -> str:
    names = ", ".join(dict.fromkeys(allowed))
    return f"unknown value '{word}'{did_you_mean(word, allowed)} (allowed: {names})"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _as_written(data: Any, location: Location, keep_last: bool) -> str:
    """The location without the union tags that pydantic puts between the user's keys."""
    keys: list[str] = []
    here = data
    for position, key in enumerate(location):
        found, here = _step(here, key)
        if found or (keep_last and position == len(location) - 1):
            keys.append(str(key))
    return ".".join(keys)


def _step(here: Any, key: int | str) -> tuple[bool, Any]:
    if isinstance(here, BaseModel):
        here = here.model_dump()
    try:
        return True, here[key]
    except (KeyError, IndexError, TypeError):
        return False, here


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The config classes within an annotation: `A | B | None`, `Annotated[…]`, `tuple[A, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [cls for part in get_args(annotation) for cls in _members(part)]


def _tag(cls: type[BaseModel]) -> str:
    return str(get_args(cls.model_fields["type"].annotation)[0])


def _classes_at(annotation: Any, location: Location) -> list[type[BaseModel]]:
    classes = _members(annotation)
    for key in location:
        if isinstance(key, int):
            continue
        tagged = [c for c in classes if len(classes) > 1 and _tag(c) == key]
        fields = [c.model_fields[key] for c in classes if key in c.model_fields]
        if tagged:
            classes = tagged
        elif fields:
            classes = _members(fields[0].rebuild_annotation())
    return classes


def _keys_at(annotation: Any, location: Location) -> list[str]:
    return [name for found in _classes_at(annotation, location) for name in found.model_fields]


def _tags_at(annotation: Any, location: Location) -> list[str]:
    return [_tag(found) for found in _classes_at(annotation, location)]
