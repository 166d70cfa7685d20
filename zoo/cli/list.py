"""`zoo list`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    models = "models"
    recipes = "recipes"


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="Default: both")] = None,
) -> None:
    """List the models and recipes that come with zoo."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if kind is not Kind.recipes:
        console.print(_models())
    if kind is not Kind.models:
        console.print(_recipes())


def _models():
    from rich.table import Table

    from zoo.config.library import list_models
    from zoo.config.load import load_config

    table = Table(
        "model", "rate (Hz)", "channels", "ratio", "latent", "bottleneck", "weights", box=None
    )
    for name in list_models():
        config = load_config(name)
        model = config.model
        table.add_row(
            name,
            str(config.sample_rate),
            str(model.io_channels),
            str(model.downsampling_ratio),
            str(model.latent_dim),
            model.bottleneck.type if model.bottleneck else "-",
            "yes" if config.published else "-",
        )
    return table


def _recipes():
    from rich.table import Table

    from zoo.config.library import find, list_recipes

    table = Table("recipe", "purpose", box=None)
    for name in list_recipes():
        lines = find("recipes", name).read_text(encoding="utf-8").splitlines()
        header = " ".join(line.lstrip("# ") for line in _leading(lines))
        table.add_row(name, header.split(". ")[0].split(": ")[0])
    return table


def _leading(lines: list[str]) -> list[str]:
    count = next(i for i, line in enumerate([*lines, ""]) if line.strip() in ("", "#"))
    return lines[:count]
