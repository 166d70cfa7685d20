"""`zoo validate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.errors import ConfigError


def validate(
    files: Annotated[
        list[str],
        typer.Argument(help="Configs or recipes: names, .json or .yaml files, or folders of them"),
    ],
    fix: Annotated[
        bool, typer.Option("--fix", help="Write a corrected config beside the file")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="With --fix: where it is written")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
) -> None:
    """Check model configs and recipes; every problem at once. Exit code 0 or 2."""
    names = list(_expanded(files))
    if fix:
        _fix(names, output)
        return
    results: list[dict[str, Any]] = []
    for name in names:
        try:
            _check(name)
            results.append({"file": name, "ok": True, "problems": []})
        except ConfigError as error:
            problems = [{"path": p.path, "message": p.message} for p in error.problems]
            results.append({"file": name, "ok": False, "problems": problems})
            if not as_json:
                print(f"zoo: error: {error}", file=sys.stderr)
        else:
            if not as_json:
                print(f"{name}: ok")
    if as_json:
        print(json.dumps(results, indent=2))
    if not all(result["ok"] for result in results):
        raise typer.Exit(2)


def _expanded(files: list[str]) -> Iterator[str]:
    for file in files:
        if not Path(file).is_dir():
            yield file
            continue
        found = sorted(p for p in Path(file).rglob("*") if p.suffix in (".json", ".yaml", ".yml"))
        if not found:
            raise ConfigError("no .json or .yaml file in this folder or below", file)
        yield from map(str, found)


def _check(file: str) -> None:
    from zoo.config.library import find, list_models, list_recipes
    from zoo.config.load import parse_container, read_mapping
    from zoo.config.model import StandardAutoencoderConfigContainer
    from zoo.config.recipe import DiffusionRecipeConfig, RecipeConfig
    from zoo.config.resolve import resolve_recipe

    if file in list_recipes() and file not in list_models():
        resolve_recipe(file)
        return
    data = read_mapping(find("configs", file))
    of_recipes = {*RecipeConfig.model_fields, *DiffusionRecipeConfig.model_fields} - set(
        StandardAutoencoderConfigContainer.model_fields
    )
    if isinstance(data.get("model"), str) or of_recipes & set(data):
        resolve_recipe(file)
    else:
        parse_container(data, file)


def _fix(names: list[str], output: Path | None) -> None:
    from zoo.config.library import find
    from zoo.config.load import read_mapping
    from zoo.config.repair import repair
    from zoo.writing import write_whole

    if len(names) != 1:
        raise ConfigError("--fix takes one file")
    path = find("configs", names[0])
    result = repair(read_mapping(path), names[0])
    for change in result.changes:
        print(change)
    if result.remaining:
        raise ConfigError(result.remaining, names[0])
    if not result.changes:
        print(f"{names[0]}: ok, nothing to mend")
        return
    target = output or path.with_suffix(".fixed.json")
    if target.suffix != ".json":
        raise ConfigError(f"--output {target}: a corrected config is written as .json")
    write_whole(target, (json.dumps(result.config, indent=2) + "\n").encode())
    print(f"written: {target}")
