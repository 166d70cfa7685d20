"""`zoo decode`."""

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


def decode(
    latents: Annotated[Path, typer.Argument(help="File that `zoo encode` wrote")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the same name, .decoded.wav")
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
    """Decode latents to an audio file of the original rate, channels and length."""
    from zoo.inference.latents import Latents
    from zoo.inference.named import naming

    content = Latents.load(latents)
    target = audio_target(output, latents, ".decoded.wav")
    codec = open_codec(model, config, device, weights, partial, content.fingerprint)
    options = sampling_options(codec, steps, sampler, seed)
    with naming(latents, target):
        codec.decode_file(content, target, **options)
    print(f"{target}: {content.samples / content.sample_rate:.2f} s at {content.sample_rate} Hz")
