"""Which model a command works with."""

from __future__ import annotations

import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from zoo.data.files import AudioInfo
    from zoo.inference.codec import Codec
    from zoo.models.autoencoder import AudioAutoencoder


class Weights(StrEnum):
    averaged = "averaged"
    online = "online"


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Checkpoint, weight file, run folder (its best checkpoint), folder of another "
        "package, name of `zoo list models` with weights, or owner/name on the Hugging Face hub. "
        "Default: the newest run under runs/, or without one the small model that comes with zoo.",
    ),
]
ConfigOption = Annotated[
    str | None,
    typer.Option("--config", help="Config of a weight file that carries none: a name or a file."),
]
WeightsOption = Annotated[
    Weights,
    typer.Option("--weights", help="Averaged weights if the file has them, or those trained."),
]
PartialOption = Annotated[
    bool, typer.Option("--partial", help="Load what fits of the weights; the rest is random.")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="Commit, tag or branch of a repository.")
]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Of a convolutional network on a GPU: torch.compile, a wait that many files repay",
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …")]


def open_codec(
    model: str | None,
    config: str | None,
    device: str,
    weights: Weights = Weights.averaged,
    partial: bool = False,
    made_by: str | None = None,
    compiled: bool = False,
) -> Codec:
    """The codec that the options ask for.

    Args:
        made_by: fingerprint of the latents that it is to decode.
        compiled: as of `Codec`.

    Raises: CheckpointError, ConfigError.
    """
    from zoo.inference.codec import Codec
    from zoo.load import from_config, from_pretrained

    device = known_device(device)
    if compiled:
        _check_compiler()
    if model is None:
        model = _unnamed(made_by)
    if config is not None:
        network = from_config(config, checkpoint=model, weights=weights.value, partial=partial)
    else:
        network = from_pretrained(model, weights=weights.value, partial=partial)
    codec = Codec(network, device=device, compiled=compiled)
    tell(network)
    return codec


def _check_compiler() -> None:
    """Raises: ConfigError where torch.compile has nothing to compile with."""
    compiler = os.environ.get("CXX") or "g++"
    if sys.platform == "linux" and shutil.which(compiler) is None:
        raise ConfigError(f"--compile: needs a C++ compiler, and there is no {compiler}")


def _unnamed(made_by: str | None) -> str:
    """The newest run; the model that comes with zoo if there is none, and for its own latents."""
    from zoo.checkpoints.files import newest_run
    from zoo.checkpoints.fingerprint import fingerprint
    from zoo.config.library import INCLUDED
    from zoo.load import from_pretrained

    newest = newest_run()
    if newest is None:
        why = "no --model, and no run under runs/"
    elif made_by is not None and made_by == fingerprint(from_pretrained(INCLUDED)):
        why = f"latents of {INCLUDED}"
    else:
        return str(newest)
    print(f"zoo: {why}: the small model that comes with zoo", file=sys.stderr)
    return INCLUDED


def tell(model: AudioAutoencoder) -> None:
    """Says on stderr which weights a model has, and what to know of them."""
    report = model.loaded
    print(f"zoo: using {report.source} ({report.layout}): {report}", file=sys.stderr)
    published = model.config.published
    if published is not None and published.note:
        print(f"zoo: note: {published.note}", file=sys.stderr)


def tell_unheard(path: Path, info: AudioInfo, codec: Codec) -> None:
    """Says on stderr what of a file is not heard: channels, or an end that is missing."""
    heard = codec.model.in_channels
    notes = []
    if info.channels > heard > 1:
        notes.append(f"of {info.channels} channels the first {heard} are heard")
    if info.is_cut:
        notes.append(f"taken as far as it goes, {info.seconds:.2f} s; its header promises more")
    for note in notes:
        print(f"zoo: {path}: {note}", file=sys.stderr)


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
