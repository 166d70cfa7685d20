"""The `training` sections that stable-audio-tools ships, around our copies of their models."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo.config.library import find
from zoo.config.load import read_mapping

_GOLDEN = Path(__file__).parents[1] / "golden" / "upstream_sections.json"


def shipped() -> dict[str, dict[str, Any]]:
    """Name → config file. The package itself leaves them out."""
    files = json.loads(_GOLDEN.read_text())
    models = {name: read_mapping(find("configs", file["model"])) for name, file in files.items()}
    return {name: {**file, "model": models[name]["model"]} for name, file in files.items()}


def source(module: str) -> ast.Module:
    """The syntax of a module of stable-audio-tools."""
    spec = find_spec("stable_audio_tools")
    assert spec is not None
    assert spec.origin is not None
    return ast.parse((Path(spec.origin).parent / module).read_text())


def keys_read(tree: ast.AST, roots: dict[str, str]) -> set[str]:
    """Dotted paths of all keys that code takes from the dicts named in `roots` (name → path)."""
    known = dict(roots)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            path = _path(node.value, known)
            if path is not None and node.targets[0].id not in known:
                known[node.targets[0].id] = path
    return {path for node in ast.walk(tree) for path in _paths(node, known) if path}


def _paths(node: ast.AST, known: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
        key, where = node.left, _path(node.comparators[0], known)
        if isinstance(key, ast.Constant) and where is not None:
            yield f"{where}.{key.value}".lstrip(".")
    elif isinstance(node, ast.expr):
        path = _path(node, known)
        if path is not None:
            yield path


def _path(node: ast.expr, known: dict[str, str]) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name, value=ast.Name(id="self")):
            return known.get(name)
        case (
            ast.Subscript(value=inner, slice=ast.Constant(value=str(key)))
            | ast.Call(
                func=ast.Attribute(value=inner, attr="get"), args=[ast.Constant(value=str(key)), *_]
            )
            | ast.IfExp(
                body=ast.Subscript(value=inner, slice=ast.Constant(value=str(key))),
            )
        ):
            where = _path(inner, known)
            return None if where is None else f"{where}.{key}".lstrip(".")
    return None
