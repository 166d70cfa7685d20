"""`zoo export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.models import ConfigOption, RevisionOption, Weights, WeightsOption


class Format(StrEnum):
    zoo = "zoo"
    stable_audio_tools = "stable-audio-tools"
    diffusers = "diffusers"
    onnx = "onnx"
    torch_export = "torch-export"


def export(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Checkpoint, weight file, run folder (its best checkpoint), folder of another "
            "package, name of `zoo list models` with weights, or owner/name on the hub"
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", "-f", help="Who is to read it")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; default: export/FORMAT")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Weights in half precision (float16)")
    ] = False,
    weights: WeightsOption = Weights.averaged,
    config: ConfigOption = None,
    revision: RevisionOption = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help="Of the weights, for the card")
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="Name in the card; default: the recipe's")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that holds other files too")
    ] = False,
) -> None:
    """Write a model as files for zoo or another tool, with a model card."""
    from zoo.checkpoints.folder import check_target
    from zoo.cli.models import tell
    from zoo.inference.export.exporting import export as write
    from zoo.load import from_config, from_pretrained

    folder = output or Path("export") / format_.value
    check_target(folder, force)
    if config is not None:
        model = from_config(config, checkpoint=checkpoint, revision=revision, weights=weights.value)
    else:
        model = from_pretrained(checkpoint, revision=revision, weights=weights.value)
    tell(model)
    done = write(model, format_.value, folder, half=half, licence=licence, title=title, force=force)
    for note in done.notes:
        print(note)
    print(f"{done.folder}: {', '.join(done.files)}")
