"""`zoo push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    folder: Annotated[Path, typer.Argument(help="What `zoo export` has written")],
    repository: Annotated[str, typer.Argument(help="owner/name on the Hugging Face hub")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository that only you can see")
    ] = False,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch, made if need be; default: main")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", help="What the commit says")] = None,
) -> None:
    """Upload an exported model to a repository of the hub, made if need be."""
    from zoo.checkpoints.push import push_folder

    print(push_folder(folder, repository, private=private, revision=revision, message=message))
