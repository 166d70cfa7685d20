"""Folders and many files: what `zoo encode`, `decode` and `reconstruct` have in common."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from zoo.cli.models import Weights, open_codec
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from lightning import Trainer

    from zoo.inference.batch.run import Options, Summary
    from zoo.inference.codec import Codec

_SHOWN_FAILURES = 5
_FILES = (".safetensors", ".wav", ".flac", ".tar")


class LatentFormat(StrEnum):
    safetensors = "safetensors"
    webdataset = "webdataset"
    stable_audio_tools = "stable-audio-tools"


class AudioFormat(StrEnum):
    wav = "wav"
    flac = "flac"


DevicesOption = Annotated[
    str | None,
    typer.Option("--devices", help="Of a folder: how many, or which as 0,2. Default: all GPUs"),
]
NodesOption = Annotated[
    int | None, typer.Option("--num-nodes", min=1, help="Of a folder: machines. Default: 1")
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help="Of a folder: most clips at a time. Default: 16"),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Of a folder: processes that read files ahead. Default: up to 8 beside a GPU, else 1 "
        "(0 on two cores)",
    ),
]
VerifyOption = Annotated[
    bool, typer.Option("--verify", help="Of a folder: compare contents of files that are done")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Of a folder: say what would be done, write nothing")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Of a folder: print a summary as JSON")]


@dataclass(frozen=True)
class Batching:
    """The options of a folder, as given."""

    devices: str | None
    num_nodes: int | None
    batch_size: int | None
    workers: int | None
    verify: bool
    dry_run: bool
    json: bool
    format: str | None = None

    @property
    def given(self) -> str | None:
        """The first of them, as it is written."""
        for name, value in vars(self).items():
            if value is not None and value is not False:
                return f"--{name.replace('_', '-')}"
        return None

    def meant(self, inputs: Sequence[Path]) -> bool:
        """Whether a folder is meant, several files, or one with options of a folder."""
        return len(inputs) > 1 or inputs[0].is_dir() or self.given is not None


@dataclass(frozen=True)
class Opening:
    """The options of a model, as given."""

    model: str | None
    config: str | None
    device: str
    weights: Weights
    partial: bool
    compiled: bool = False

    def codec(self, device: str | None = None, made_by: str | None = None) -> Codec:
        """As `open_codec`. Raises: CheckpointError, ConfigError."""
        device = device or self.device
        return open_codec(
            self.model,
            self.config,
            device,
            self.weights,
            self.partial,
            made_by=made_by,
            compiled=self.compiled,
        )


class Work(Protocol):
    """What is done with a codec, a folder for the output, a Trainer and options."""

    def __call__(
        self, codec: Codec, out: Path, *, trainer: Trainer, options: Options
    ) -> Summary | None: ...


def run_batch(
    work: Work,
    inputs: Sequence[Path],
    output: Path | None,
    opening: Opening,
    batching: Batching,
    made_by: str | None = None,
) -> None:
    """Opens the model where the batch runs, does the work and says what was done.

    Args:
        made_by: fingerprint of the latents that are decoded.
    """
    if output is None:
        if batching.given and len(inputs) == 1 and not inputs[0].is_dir():
            raise ConfigError(f"{batching.given}: is for folders; name one with --output")
        raise ConfigError("--output: name a folder for what is made of several files")
    if output.suffix in _FILES and not output.is_dir():
        raise ConfigError(f"--output {output}: several files go to a folder, not to a file")
    from zoo.inference.batch.devices import batch_trainer
    from zoo.inference.batch.run import Options

    trainer = batch_trainer(
        opening.device, batching.devices or "auto", num_nodes=batching.num_nodes or 1
    )
    first = trainer.is_global_zero
    with contextlib.nullcontext() if first else contextlib.redirect_stderr(io.StringIO()):
        codec = opening.codec(str(trainer.strategy.root_device), made_by)
    options = Options(
        batch_size=batching.batch_size or Options.batch_size,
        workers=batching.workers,
        verify=batching.verify,
        dry_run=batching.dry_run,
    )
    summary = work(codec, output, trainer=trainer, options=options)
    if summary is None:
        return
    _show(summary, batching)
    if summary.interrupted:
        raise typer.Exit(130)
    if summary.failures:
        raise typer.Exit(1)


def _show(summary: Summary, batching: Batching) -> None:
    for failure in summary.failures[:_SHOWN_FAILURES]:
        print(f"zoo: {failure.path}: {failure.reason}", file=sys.stderr)
    if summary.interrupted:
        print("zoo: stopped; the same command goes on from here", file=sys.stderr)
    if batching.json:
        facts = asdict(summary) | {"out": str(summary.out), "x_realtime": summary.x_realtime}
        print(json.dumps(facts | {"dry_run": batching.dry_run}, indent=2))
        return
    made = f"{summary.files:,} files {'to do' if batching.dry_run else 'done'}"
    parts = [f"{made} ({summary.seconds / 60:.1f} minutes of audio{_pace(summary)})"]
    if summary.skipped:
        parts.append(f"{summary.skipped:,} were done before")
    if summary.left:
        parts.append(f"{summary.left:,} are left")
    if summary.failures:
        where = "" if batching.dry_run else f", see {summary.failures_file}"
        parts.append(f"{len(summary.failures):,} failed{where}")
    print(f"{summary.out}: {', '.join(parts)}")


def _pace(summary: Summary) -> str:
    return f", {summary.x_realtime:.1f}x realtime" if summary.wall_seconds else ""
