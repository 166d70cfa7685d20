"""`zoo encode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli.folders import (
    Batching,
    BatchSizeOption,
    DevicesOption,
    DryRunOption,
    JsonOption,
    LatentFormat,
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
from zoo.cli.targets import latent_target

if TYPE_CHECKING:
    from zoo.inference.batch.run import Summary
    from zoo.inference.codec import Codec


def encode(
    audio: Annotated[
        list[Path], typer.Argument(help="wav, flac, ogg and mp3 files, or folders of them")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Default: the same name, .safetensors; a folder for several files",
        ),
    ] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    weights: WeightsOption = Weights.averaged,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
    compiled: CompileOption = False,
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Keep mean and standard deviation of a VAE")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Keep latents in half precision (float16)")
    ] = False,
    kind: Annotated[
        LatentFormat | None,
        typer.Option("--format", help="Of a folder: what is written. Default: safetensors"),
    ] = None,
    batch_size: BatchSizeOption = None,
    workers: WorkersOption = None,
    devices: DevicesOption = None,
    num_nodes: NodesOption = None,
    verify: VerifyOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Encode audio of any rate, channels and length to latents.

    What a folder holds already is left alone: the same command goes on where it was stopped.
    """
    opening = Opening(model, config, device, weights, partial, compiled)
    batching = Batching(
        devices, num_nodes, batch_size, workers, verify, dry_run, as_json, kind and kind.value
    )
    if not batching.meant(audio):
        return _encode_file(audio[0], output, opening, posterior, half)

    def work(codec: Codec, out: Path, **how: Any) -> Summary | None:
        from zoo.inference.batch.folders import encode_folder

        chosen = (kind or LatentFormat.safetensors).value
        return encode_folder(
            codec, audio, out, format=chosen, posterior=posterior, half=half, **how
        )

    return run_batch(work, audio, output, opening, batching)


def _encode_file(
    audio: Path, output: Path | None, opening: Opening, posterior: bool, half: bool
) -> None:
    import torch

    from zoo.data.files import probe
    from zoo.inference.named import naming

    info = probe(audio)
    target = latent_target(output, audio)
    codec = opening.codec()
    tell_unheard(audio, info, codec)
    with naming(audio):
        latents = codec.encode(audio, posterior=posterior)
        latents = latents.to(torch.float16) if half else latents
    latents.save(target)
    dim, frames = (latents.values if latents.tokens is None else latents.tokens).shape
    what = "latents" if latents.tokens is None else "tokens"
    print(f"{target}: {dim} x {frames} {what} of {latents.seconds:.2f} s")
