"""From `recipe=NAME model=NAME a.b=c …` to a checked recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from zoo.config.library import find
from zoo.config.load import model_kind, parse_container, read_mapping
from zoo.config.model import StandardAutoencoderConfigContainer
from zoo.config.problems import validate
from zoo.config.recipe import (
    AnyRecipe,
    DiffusionRecipeConfig,
    RecipeConfig,
    recipe_class,
)
from zoo.config.rules.recipe import recipe_contradictions
from zoo.config.upstream_recipe import named_as_written, recipe_of
from zoo.config.upstream_training import SECTION, Tell, parse_training
from zoo.errors import ConfigError, Problem
from zoo.writing import write_whole

RECIPE_FILE = "recipe.yaml"
_DEFAULT_RECIPES = {"diffusion_autoencoder": "dit_diffae"}
_CHANGEABLE = (
    "trainer.",
    "data.workers",
    "data.folder",
    "logger.",
    "checkpoints.",
    "checkpointing",
    "examples.",
    "watch.",
    "early_stopping",
    "metrics",
)


_KEPT = ("batch_size", "workers")


def resolve_recipe(
    recipe: str | None = None,
    model: str | None = None,
    overrides: Sequence[str] = (),
    tell: Tell = lambda _: None,
) -> AnyRecipe:
    """A recipe, checked in full.

    Args:
        recipe: a name of `zoo.list_recipes()` or a path to a .yaml file.
        model: the network to train instead: a name of `zoo.list_models()` or a path. If its file
            has stable-audio-tools' `training` section and `recipe` is not given, that section is
            the recipe.
        overrides: dotted keys and values, `trainer.max_steps=4`; they come last.
        tell: gets what is in a `training` section but not used.

    Raises:
        ConfigError: with every problem found.
    """
    if (
        recipe is not None
        and model is None
        and is_model_file(read_mapping(find("recipes", recipe)))
    ):
        recipe, model = None, recipe
    if model is not None:
        container = read_mapping(find("configs", model))
        if container.get(SECTION) is not None and recipe is None:
            return _of_upstream(container, model, overrides, tell)
    name = recipe or _default_recipe(model)
    path = find("recipes", name)
    data = read_mapping(path)
    data.setdefault("name", path.stem)
    if model is not None:
        # It brings its own rate and channels.
        fields = StandardAutoencoderConfigContainer.model_fields
        data = {key: value for key, value in data.items() if key not in fields}
        data["model"] = model
    data = _with_model(data)
    if data.get(SECTION) is not None:
        tell(Problem(SECTION, f"not used: the recipe '{name}' says how to train"))
    return parse_recipe(data, overrides, name)


def is_model_file(data: Mapping[str, Any]) -> bool:
    """Whether a file with a `training` section says all in it, and nothing in a recipe's keys."""
    of_recipes = {*RecipeConfig.model_fields, *DiffusionRecipeConfig.model_fields}
    of_models = {*StandardAutoencoderConfigContainer.model_fields, "$schema"}
    inline = isinstance(data.get("model"), Mapping) and data.get(SECTION) is not None
    return inline and not (of_recipes - of_models) & set(data)


def _of_upstream(
    container: Mapping[str, Any], source: str, overrides: Sequence[str], tell: Tell
) -> AnyRecipe:
    """The recipe in the `training` section of a config of stable-audio-tools."""
    kind = model_kind(container, source)
    try:
        training = parse_training(container, kind, source, tell)
    except ConfigError as error:
        raise ConfigError([*_problems(container), *error.problems], source) from None
    base = read_mapping(find("recipes", _DEFAULT_RECIPES.get(kind, "oobleck")))
    given = recipe_of(training, container)
    # What no such section says comes from the recipe that a bare model gets.
    data = {key: base["data"][key] for key in _KEPT if key in base["data"]}
    stem = re.sub(r"[^\w.-]", "_", find("configs", source).stem)
    merged = {
        **container,
        **given,
        "name": stem if stem[0] not in ".-" else "run",
        "data": {**data, **given.get("data", {})},
        "trainer": {**base["trainer"], **given["trainer"]},
        "checkpoints": base.get("checkpoints", {}),
    }
    return parse_recipe(merged, overrides, source, named_as_written)


def _problems(container: Mapping[str, Any]) -> tuple[Problem, ...]:
    try:
        parse_container(container)
    except ConfigError as error:
        return error.problems
    return ()


def _default_recipe(model: str | None) -> str:
    kind = model_kind(read_mapping(find("configs", model)), model) if model else ""
    return _DEFAULT_RECIPES.get(kind, "oobleck")


def resume_recipe(folder: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """The recipe of a run folder, with `overrides` of what a run may change on its way.

    Raises:
        ConfigError: for a folder without recipe, or overrides of what its checkpoint fixes.
    """
    if not folder.is_dir():
        raise ConfigError("no such run folder", str(folder))
    fixed = [
        override
        for override in overrides
        if not override.startswith(_CHANGEABLE) and "=" in override
    ]
    if fixed:
        can = ", ".join(f"{key}*" if key.endswith(".") else key for key in _CHANGEABLE)
        message = f"fixed by the run's checkpoint; resume can change {can}"
        raise ConfigError([Problem(key.split("=")[0], message) for key in fixed], str(folder))
    return parse_recipe(read_mapping(folder / RECIPE_FILE), overrides, str(folder))


def _with_model(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """`recipe` with the file that its `model` names at its root; its own keys come last."""
    named = recipe.get("model")
    if not isinstance(named, str):
        return dict(recipe)
    container = read_mapping(find("configs", named))
    if "model" not in container:
        raise ConfigError([Problem("model", "required, but missing")], named)
    return {**container, **{key: value for key, value in recipe.items() if key != "model"}}


def parse_recipe(
    data: Mapping[str, Any],
    overrides: Sequence[str],
    source: str,
    rename: Callable[[ConfigError], ConfigError] = lambda error: error,
) -> AnyRecipe:
    """`data` with `overrides`, through both passes; `rename` gets those problems that `data` has.

    Raises:
        ConfigError: with every problem found.
    """
    merged = _merged(data, overrides, source)
    given = [override.split("=", 1)[0] for override in overrides]
    try:
        recipe = validate(recipe_class(merged, source), merged, source)
    except ConfigError as error:
        raise _marked(error, given, rename) from None
    problems = list(recipe_contradictions(recipe))
    if problems:
        raise _marked(ConfigError(problems, source), given, rename)
    return recipe


def _merged(data: Mapping[str, Any], overrides: Sequence[str], source: str) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    for override in overrides:
        if override.endswith("="):
            raise ConfigError(f"'{override}' has no value; write {override}null for none")
        if "=" not in override or override.startswith("="):
            raise ConfigError(f"'{override}' is no override; write key=value, trainer.max_steps=4")
    try:
        changes = OmegaConf.from_dotlist(list(overrides))
        named = cast(dict[str, Any], OmegaConf.to_container(changes))
        base = OmegaConf.create(_without_other_types(data, named))
        merged = OmegaConf.merge(base, changes)
        return cast(dict[str, Any], OmegaConf.to_container(merged, resolve=True))
    except (OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(str(error).splitlines()[0], source) from None


def _without_other_types(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` without the `config` of each part to which `changes` gives another `type`."""
    kept: dict[str, Any] = dict(base)
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(kept.get(key), dict):
            kept[key] = _without_other_types(kept[key], cast(dict[str, Any], change))
    if "type" in changes and changes["type"] != base.get("type"):
        kept.pop("config", None)
    return kept


def _marked(
    error: ConfigError, given: Sequence[str], rename: Callable[[ConfigError], ConfigError]
) -> ConfigError:
    """Says which problems come from the command line."""
    problems: list[Problem] = []
    for problem in error.problems:
        if any(_related(problem.path, key) for key in given):
            problems.append(Problem(problem.path, f"{problem.message} (from the command line)"))
        else:
            problems += rename(ConfigError([problem])).problems
    return ConfigError(problems, error.source)


def _related(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def write_recipe(recipe: AnyRecipe, path: Path) -> None:
    """Writes a recipe as YAML, every default written out."""
    import yaml

    text = yaml.safe_dump(recipe.to_dict(), sort_keys=False, allow_unicode=True)
    write_whole(path, text.encode())
