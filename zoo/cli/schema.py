"""`zoo schema`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Document(StrEnum):
    model = "model"
    recipe = "recipe"


def schema(
    document: Annotated[Document, typer.Argument(help="Of which files")] = Document.model,
) -> None:
    """Print the JSON schema of model configs or recipes, for editors."""
    import json

    from zoo.config.schema import json_schema

    print(json.dumps(json_schema(document.value), indent=2))
