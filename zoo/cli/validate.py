"""`zoo validate`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zoo.errors import ConfigError


def validate(
    files: Annotated[
        list[str], typer.Argument(help="Configs or recipes: .json or .yaml files, or their names")
    ],
) -> None:
    """Check model configs and recipes; every problem at once. Exit code 0 or 2."""
    refused = 0
    for file in files:
        try:
            _check(file)
            print(f"{file}: ok")
        except ConfigError as error:
            refused += 1
            print(f"zoo: error: {error}", file=sys.stderr)
    if refused:
        raise typer.Exit(2)


def _check(file: str) -> None:
    from zoo.config.library import find, list_models, list_recipes
    from zoo.config.load import parse_container, read_mapping
    from zoo.config.model import StandardAutoencoderConfigContainer
    from zoo.config.recipe import RecipeConfig
    from zoo.config.resolve import resolve_recipe

    if file in list_recipes() and file not in list_models():
        resolve_recipe(file)
        return
    data = read_mapping(find("configs", file))
    of_recipes = set(RecipeConfig.model_fields) - set(
        StandardAutoencoderConfigContainer.model_fields
    )
    if isinstance(data.get("model"), str) or of_recipes & set(data):
        resolve_recipe(file)
    elif not isinstance(parse_container(data, file), StandardAutoencoderConfigContainer):
        raise ConfigError("diffusion autoencoders can't be built by this version of zoo", file)
