"""`zoo diff`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer


def diff(
    first: Annotated[str, typer.Argument(help="Config: a name or a file")],
    second: Annotated[str, typer.Argument(help="Config: a name or a file")],
) -> None:
    """Show what differs between two model configs, defaults included."""
    from rich.console import Console
    from rich.table import Table

    from zoo.config.load import load_config

    one, other = (_flat(load_config(name).to_dict()) for name in (first, second))
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if not keys:
        print("no difference")
        return
    table = Table("key", first, second, box=None)
    for key in keys:
        table.add_row(key, *(str(side[key]) if key in side else "-" for side in (one, other)))
    Console(highlight=False, soft_wrap=True).print(table)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys and plain values; lists are values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
