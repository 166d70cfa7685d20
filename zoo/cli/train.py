"""`zoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.errors import ConfigError, Problem, did_you_mean

_CHOICES = ("recipe", "model", "resume")


def train(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="recipe=NAME|PATH [model=NAME|PATH] [KEY.KEY=VALUE]..."),
    ] = None,
) -> None:
    """Train a model: zoo train recipe=oobleck_vae data.folder=audio trainer.max_steps=1000.

    recipe=  a name of `zoo list recipes`, or a .yaml file.

    model=   train this network instead: a name of `zoo list models`, or a file. A file with
    stable-audio-tools' `training` section needs no recipe=.

    resume=  a run folder to go on with, instead of recipe= and model=.

    Any other key=value replaces a value of the recipe.
    """
    from zoo.config.resolve import resolve_recipe, resume_recipe

    chosen, overrides = _split(arguments or [])
    if "resume" in chosen:
        if len(chosen) > 1:
            raise ConfigError("resume= goes without recipe= and model=: the run folder has both")
        folder = _run_folder(Path(chosen["resume"]))
        recipe = resume_recipe(folder, overrides)
        from zoo.training.run import train as run

        finished = run(recipe, resume=folder)
    elif not chosen:
        raise ConfigError(
            f"what to train? zoo train recipe=NAME{_meant(overrides)} "
            "(`zoo list recipes` shows all)"
        )
    else:
        recipe = resolve_recipe(chosen.get("recipe"), chosen.get("model"), overrides, _tell)
        from zoo.training.run import train as run

        finished = run(recipe)
    if finished.interrupted:
        raise typer.Exit(130)


def _tell(note: Problem) -> None:
    from zoo.data.messages import say

    say(str(note))


def _split(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    chosen: dict[str, str] = {}
    overrides: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in _CHOICES and value:
            chosen[key] = value
        else:
            overrides.append(argument)
    return chosen, overrides


def _run_folder(path: Path) -> Path:
    """The run folder that `path`, or a checkpoint in it, belongs to."""
    from zoo.checkpoints.files import newest_run

    if path.suffix == ".ckpt" and path.parent.name == "checkpoints":
        return path.parents[1]
    if path.is_dir() and not (path / "recipe.yaml").is_file():
        return newest_run(path) or path
    return path


def _meant(arguments: list[str]) -> str:
    """A guess at what was meant by arguments that name no recipe."""
    from zoo.config.library import list_recipes

    for argument in arguments:
        key, _, value = argument.partition("=")
        if not value and (hint := did_you_mean(key, list_recipes())):
            return hint.replace("mean '", "mean 'recipe=")
        if value and "." not in key and (hint := did_you_mean(key, _CHOICES)):
            return f"; '{key}'{hint.lstrip(';')}"
    return ""
