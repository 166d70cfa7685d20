"""`zoo encode`."""

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
from zoo.cli.targets import latent_target


def encode(
    audio: Annotated[Path, typer.Argument(help="wav, flac, ogg or mp3 file")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the same name, .safetensors")
    ] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    weights: WeightsOption = Weights.averaged,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Keep mean and standard deviation of a VAE")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Keep latents in half precision (float16)")
    ] = False,
) -> None:
    """Encode an audio file of any rate, channels and length to latents."""
    import torch

    from zoo.data.files import probe
    from zoo.inference.named import naming

    probe(audio)
    target = latent_target(output, audio)
    codec = open_codec(model, config, device, weights, partial)
    with naming(audio):
        latents = codec.encode(audio, posterior=posterior)
        latents = latents.to(torch.float16) if half else latents
    latents.save(target)
    dim, frames = (latents.values if latents.tokens is None else latents.tokens).shape
    what = "latents" if latents.tokens is None else "tokens"
    print(f"{target}: {dim} x {frames} {what} of {latents.seconds:.2f} s")
