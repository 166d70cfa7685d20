"""`zoo decode`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.folders import (
    AudioFormat,
    Batching,
    BatchSizeOption,
    DevicesOption,
    DryRunOption,
    JsonOption,
    NodesOption,
    Opening,
    VerifyOption,
    WorkersOption,
    run_batch,
)
from zoo.cli.models import (
    CompileOption,
    ConfigOption,
    DeviceOption,
    ModelOption,
    PartialOption,
    Weights,
    WeightsOption,
)
from zoo.cli.sampling import SamplerOption, SeedOption, StepsOption, sampling_options
from zoo.cli.targets import audio_target

if TYPE_CHECKING:
    from zoo.inference.batch.run import Summary
    from zoo.inference.codec import Codec


def decode(
    latents: Annotated[
        list[Path],
        typer.Argument(help="Files or shards that `zoo encode` wrote, or folders of them"),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Default: the same name, .decoded.wav; a folder for several files",
        ),
    ] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    weights: WeightsOption = Weights.averaged,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
    compiled: CompileOption = False,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    seed: SeedOption = None,
    kind: Annotated[
        AudioFormat | None,
        typer.Option("--format", help="Of a folder: what is written. Default: wav"),
    ] = None,
    batch_size: BatchSizeOption = None,
    workers: WorkersOption = None,
    devices: DevicesOption = None,
    num_nodes: NodesOption = None,
    verify: VerifyOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Decode latents to audio of the original rate, channels and length.

    What a folder holds already is left alone: the same command goes on where it was stopped.
    """
    opening = Opening(model, config, device, weights, partial, compiled)
    batching = Batching(
        devices, num_nodes, batch_size, workers, verify, dry_run, as_json, kind and kind.value
    )
    sampling = (steps, sampler, seed)
    if not batching.meant(latents) and latents[0].suffix.lower() != ".tar":
        return _decode_file(latents[0], output, opening, sampling)

    def work(codec: Codec, out: Path, **how: Any) -> Summary | None:
        from zoo.inference.batch.folders import decode_folder

        options = sampling_options(codec, *sampling) | how
        # There is one bar, of the whole batch.
        options.pop("progress", None)
        suffix = f".{(kind or AudioFormat.wav).value}"
        return decode_folder(codec, latents, out, suffix=suffix, **options)

    made_by = _made_by(latents) if model is None else None
    return run_batch(work, latents, output, opening, batching, made_by)


def _made_by(inputs: list[Path]) -> str | None:
    """The fingerprint in the first file that has one."""
    from safetensors import SafetensorError, safe_open

    from zoo.data.shards import SHARD_SUFFIX, read_shard
    from zoo.data.walk import files_below
    from zoo.errors import CheckpointError

    for given in inputs:
        below = files_below(given, (".safetensors", SHARD_SUFFIX), lambda error: None)
        for path in below if given.is_dir() else (given,):
            with contextlib.suppress(OSError, SafetensorError, CheckpointError):
                if path.suffix.lower() == SHARD_SUFFIX:
                    return read_shard(path, keep=False).fingerprint
                with safe_open(path, framework="pt") as file:
                    found = (file.metadata() or {}).get("fingerprint")
                if found is not None:
                    return found
    return None


def _decode_file(
    latents: Path, output: Path | None, opening: Opening, sampling: tuple[Any, Any, Any]
) -> None:
    from zoo.inference.latents import Latents
    from zoo.inference.named import naming

    content = Latents.load(latents)
    target = audio_target(output, latents, ".decoded.wav")
    codec = opening.codec(made_by=content.fingerprint)
    options = sampling_options(codec, *sampling)
    with naming(latents, target):
        codec.decode_file(content, target, **options)
    print(f"{target}: {content.samples / content.sample_rate:.2f} s at {content.sample_rate} Hz")
