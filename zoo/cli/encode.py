"""`zoo encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.models import ConfigOption, DeviceOption, ModelOption, open_codec
from zoo.cli.targets import latent_target


def encode(
    audio: Annotated[Path, typer.Argument(help="wav, flac, ogg or mp3 file")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the same name, .safetensors")
    ] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Encode an audio file of any rate, channels and length to latents."""
    from zoo.data.files import probe
    from zoo.inference.named import naming

    probe(audio)
    target = latent_target(output, audio)
    codec = open_codec(model, config, device)
    with naming(audio):
        latents = codec.encode(audio)
    latents.save(target)
    dim, frames = latents.values.shape
    seconds = latents.samples / latents.sample_rate
    print(f"{target}: {dim} x {frames} latents of {seconds:.2f} s")
