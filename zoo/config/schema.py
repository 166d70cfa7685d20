"""The JSON schemas that editors complete and check configs by."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import TypeAdapter

from zoo.config.model import ModelContainer
from zoo.config.recipe import AnyRecipe, DiffusionRecipeConfig, RecipeConfig

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(document: Literal["model", "recipe"]) -> dict[str, Any]:
    """The schema of a model's file or of a recipe, as plain JSON values."""
    if document == "model":
        return {"$schema": _DRAFT, **TypeAdapter(ModelContainer).json_schema(by_alias=True)}
    schema = TypeAdapter(AnyRecipe).json_schema(by_alias=True)
    for kind in (RecipeConfig, DiffusionRecipeConfig):
        # A recipe may name its model instead of holding it.
        properties: dict[str, Any] = schema["$defs"][kind.__name__]["properties"]
        properties["model"] = {"anyOf": [{"type": "string"}, properties["model"]]}
        schema["$defs"][kind.__name__]["required"] = ["model"]
    return {"$schema": _DRAFT, **schema}
