"""`zoo reconstruct`."""

from __future__ import annotations

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
    tell_unheard,
)
from zoo.cli.sampling import SamplerOption, SeedOption, StepsOption, sampling_options
from zoo.cli.targets import audio_target

if TYPE_CHECKING:
    from zoo.inference.batch.run import Summary
    from zoo.inference.codec import Codec


def reconstruct(
    audio: Annotated[
        list[Path],
        typer.Argument(help="wav, flac, ogg and mp3 files, or folders of them"),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Default: the same name, .reconstructed.wav; a folder for several files",
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
    """Encode and decode audio, to hear what the model keeps of it.

    What a folder holds already is left alone: the same command goes on where it was stopped.
    """
    opening = Opening(model, config, device, weights, partial, compiled)
    batching = Batching(
        devices, num_nodes, batch_size, workers, verify, dry_run, as_json, kind and kind.value
    )
    sampling = (steps, sampler, seed)
    if not batching.meant(audio):
        return _reconstruct_file(audio[0], output, opening, sampling)

    def work(codec: Codec, out: Path, **how: Any) -> Summary | None:
        from zoo.inference.batch.folders import reconstruct_folder

        options = sampling_options(codec, *sampling) | how
        # There is one bar, of the whole batch.
        options.pop("progress", None)
        suffix = f".{(kind or AudioFormat.wav).value}"
        return reconstruct_folder(codec, audio, out, suffix=suffix, **options)

    return run_batch(work, audio, output, opening, batching)


def _reconstruct_file(
    audio: Path, output: Path | None, opening: Opening, sampling: tuple[Any, Any, Any]
) -> None:
    from zoo.data.files import probe
    from zoo.evaluation.long_files import measure_files
    from zoo.inference.named import naming

    info = probe(audio)
    target = audio_target(output, audio, ".reconstructed.wav")
    codec = opening.codec()
    tell_unheard(audio, info, codec)
    options = sampling_options(codec, *sampling)
    with naming(audio, target):
        codec.decode_file(codec.encode(audio), target, **options)
    metrics = measure_files(target, audio)
    print(
        f"{target}: SI-SDR {metrics.si_sdr_db:.2f} dB, mel distance {metrics.mel:.3f}, "
        f"STFT distance {metrics.stft:.3f}"
    )
