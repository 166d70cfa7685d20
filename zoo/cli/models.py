"""Which model a command works with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.errors import CheckpointError

if TYPE_CHECKING:
    from zoo.inference.codec import Codec

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Checkpoint, weight file, or run folder (its best checkpoint). "
        "Default: the newest run under runs/.",
    ),
]
ConfigOption = Annotated[
    str | None,
    typer.Option("--config", help="Config of a weight file that carries none: a name or a file."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …")]


def open_codec(model: str | None, config: str | None, device: str) -> Codec:
    """The codec that the options ask for. Raises: CheckpointError, ConfigError."""
    from zoo.checkpoints.files import find_checkpoint, newest_run
    from zoo.config.library import list_models
    from zoo.inference.codec import Codec
    from zoo.load import from_checkpoint, from_config

    if model is None:
        newest = newest_run()
        if newest is None:
            raise CheckpointError(
                "no model: there is no checkpoint under runs/; "
                "train one (`zoo train recipe=starter`) or name one with --model"
            )
        model = str(newest)
    elif model in list_models() and not Path(model).exists():
        raise CheckpointError(
            f"'{model}' is a config without weights; train it (`zoo train model={model}`) "
            f"or give its weights: --model weights.safetensors --config {model}"
        )
    path, device = find_checkpoint(model), known_device(device)
    if config is not None:
        codec = Codec(from_config(config, checkpoint=path), device=device)
    else:
        codec = Codec(from_checkpoint(path), device=device)
    print(f"zoo: using {path}", file=sys.stderr)
    return codec


def known_device(device: str) -> str:
    """`device` itself. Raises: CheckpointError where this machine has none such."""
    import torch

    if device == "auto":
        return device
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise CheckpointError(
            f"--device {device}: not on this machine (auto, cpu, cuda, mps …)"
        ) from None
    return device
