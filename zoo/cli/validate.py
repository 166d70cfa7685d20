"""`zoo validate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.errors import ConfigError, Problem

if TYPE_CHECKING:
    from zoo.config.model import ModelContainer
    from zoo.config.recipe import AnyRecipe


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
    from zoo.config.advice import advice

    names = list(_expanded(files))
    if fix:
        _fix(names, output)
        return
    results: list[dict[str, Any]] = []
    for name in names:
        try:
            warnings: list[Problem] = []
            checked = _checked(name, warnings)
            warnings += advice(checked)
        except ConfigError as error:
            results.append(_result(name, problems=error.problems))
            if not as_json:
                print(f"zoo: error: {error}", file=sys.stderr)
        else:
            results.append(_result(name, warnings=warnings))
            if not as_json:
                print(f"{name}: ok")
                _warn(name, warnings)
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


def _result(
    file: str, problems: Sequence[Problem] = (), warnings: Sequence[Problem] = ()
) -> dict[str, Any]:
    listed = {
        name: [{"path": p.path, "message": p.message} for p in found]
        for name, found in (("problems", problems), ("warnings", warnings))
    }
    return {"file": file, "ok": not problems, **listed}


def _warn(file: str, warnings: Iterable[Problem]) -> None:
    for warning in warnings:
        print(f"zoo: warning: {file}: {warning}", file=sys.stderr)


def _checked(file: str, notes: list[Problem]) -> ModelContainer | AnyRecipe:
    from zoo.config.library import find, list_models, list_recipes
    from zoo.config.load import parse_container, read_mapping
    from zoo.config.model import StandardAutoencoderConfigContainer
    from zoo.config.recipe import DiffusionRecipeConfig, RecipeConfig
    from zoo.config.resolve import is_model_file, resolve_recipe

    if file in list_recipes() and file not in list_models():
        return resolve_recipe(file)
    data = read_mapping(find("configs", file))
    of_recipes = {*RecipeConfig.model_fields, *DiffusionRecipeConfig.model_fields} - set(
        StandardAutoencoderConfigContainer.model_fields
    )
    if is_model_file(data):
        return resolve_recipe(model=file, tell=notes.append)
    if isinstance(data.get("model"), str) or of_recipes & set(data):
        return resolve_recipe(file, tell=notes.append)
    return parse_container(data, file)


def _fix(names: list[str], output: Path | None) -> None:
    from zoo.config.advice import advice
    from zoo.config.library import find
    from zoo.config.load import parse_container, read_mapping
    from zoo.config.repair import repair
    from zoo.writing import write_whole

    if len(names) != 1:
        raise ConfigError("--fix takes one file")
    path = find("configs", names[0])
    result = repair(read_mapping(path), names[0])
    if result.remaining:
        print(f"{names[0]}: nothing is written: a rule mends {len(result.changes)} values only")
    for change in result.changes:
        print(change)
    if result.remaining:
        raise ConfigError(result.remaining, names[0])
    warnings = list(advice(parse_container(result.config, names[0])))
    if not result.changes:
        print(f"{names[0]}: ok, nothing to mend")
        _warn(names[0], warnings)
        return
    target = output or path.with_suffix(".fixed.json")
    if target.suffix != ".json":
        raise ConfigError(f"--output {target}: a corrected config is written as .json")
    write_whole(target, (json.dumps(result.config, indent=2) + "\n").encode())
    print(f"written: {target}")
    _warn(str(target), warnings)
