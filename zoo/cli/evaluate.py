"""`zoo evaluate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.models import (
    ConfigOption,
    DeviceOption,
    ModelOption,
    PartialOption,
    Weights,
    WeightsOption,
    open_codec,
)
from zoo.cli.sampling import SamplerOption, SeedOption, StepsOption, sampling_options
from zoo.errors import AudioError

if TYPE_CHECKING:
    from zoo.evaluation.report import Report

_FOLDERS = ("checkpoints", "model_config.json", "config.json", "vae/config.json")
_SHOWN = {"si_sdr_db": "SI-SDR (dB)", "mel": "mel", "stft": "STFT", "pesq": "PESQ"}


def evaluate(
    audio: Annotated[
        list[Path],
        typer.Argument(metavar="[MODEL] FOLDER|FILE...", help="Audio files, and folders of them"),
    ],
    model: ModelOption = None,
    config: ConfigOption = None,
    weights: WeightsOption = Weights.averaged,
    partial: PartialOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the JSON object to this file")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Only so much of each file, from its start")
    ] = None,
    device: DeviceOption = "auto",
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    seed: SeedOption = None,
) -> None:
    """Measure a model on audio files: quality, speed, memory and bit rate.

    MODEL may also be named first, as --model takes it. Exit code 1: some files were broken.
    """
    from zoo.evaluation import evaluate as run
    from zoo.writing import write_whole

    if model is None and len(audio) > 1 and _is_model(audio[0]):
        model, audio = str(audio[0]), audio[1:]
    if output is not None and (output.is_dir() or output.suffix != ".json"):
        raise AudioError(f"{output}: the report is written as .json")
    codec = open_codec(model, config, device, weights, partial)
    options = {**sampling_options(codec, steps, sampler, seed)}
    options.pop("progress", None)
    report = run(codec, audio, seconds=seconds, progress=_bar, **options)
    if not report.files:
        reasons = "".join(f"\n  {file.path}: {file.reason}" for file in report.broken)
        raise AudioError(f"none of the {len(report.broken)} files can be evaluated{reasons}")
    text = json.dumps(report.to_dict(), indent=2)
    if output is not None:
        write_whole(output, f"{text}\n".encode())
    if as_json:
        print(text)
    else:
        _show(report)
    for file in report.broken:
        print(f"zoo: left out {file.path}: {file.reason}", file=sys.stderr)
    if report.broken:
        raise typer.Exit(1)


def _is_model(path: Path) -> bool:
    """Whether `path` is no audio, but what `--model` takes."""
    from zoo.checkpoints.files import SUFFIXES
    from zoo.checkpoints.hub import is_repository
    from zoo.config.library import model_named

    if path.suffix in SUFFIXES or any((path / name).exists() for name in _FOLDERS):
        return True
    named = bool(model_named(str(path))) or is_repository(str(path))
    return named and not path.exists() and not path.suffix


def _bar(paths: Sequence[Path]) -> Iterator[Path]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(paths, "evaluating", console=console, disable=not console.is_terminal)


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    names = [name for name in _SHOWN if name in report.summary]
    table = Table("file", "seconds", *(_SHOWN[name] for name in names), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for file in report.files:
        values: dict[str, Any] = {**vars(file.metrics), "pesq": file.pesq}
        table.add_row(file.path, f"{file.seconds:.2f}", *(_number(values[name]) for name in names))
    spreads = [report.summary[name] for name in names]
    table.add_row("mean", "", *(_number(spread.mean) for spread in spreads))
    table.add_row("standard deviation", "", *(_number(spread.std) for spread in spreads))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    bits = report.bits_per_second
    rate = f", {bits / 1000:.2f} kbit/s" if bits is not None else ""
    where = "GPU memory" if report.device.startswith("cuda") else "memory of the process"
    console.print(
        f"encode {report.encode_x_realtime:.2f}x realtime, "
        f"decode {report.decode_x_realtime:.2f}x realtime on {report.device}\n"
        f"{where} {report.peak_memory_bytes / 2**30:.2f} GiB at most\n"
        f"{report.frames_per_second:.2f} frames, {report.values_per_second:.0f} values "
        f"a second{rate}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
