"""`zoo reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from zoo.cli.targets import audio_target


def reconstruct(
    audio: Annotated[Path, typer.Argument(help="wav, flac, ogg or mp3 file")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Default: the same name, .reconstructed.wav"),
    ] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    weights: WeightsOption = Weights.averaged,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    seed: SeedOption = None,
) -> None:
    """Encode and decode an audio file, to hear what the model keeps of it."""
    from zoo.data.files import probe
    from zoo.evaluation.long_files import measure_files
    from zoo.inference.named import naming

    probe(audio)
    target = audio_target(output, audio, ".reconstructed.wav")
    codec = open_codec(model, config, device, weights, partial)
    options = sampling_options(codec, steps, sampler, seed)
    with naming(audio, target):
        codec.decode_file(codec.encode(audio), target, **options)
    metrics = measure_files(target, audio)
    print(
        f"{target}: SI-SDR {metrics.si_sdr_db:.2f} dB, mel distance {metrics.mel:.3f}, "
        f"STFT distance {metrics.stft:.3f}"
    )
