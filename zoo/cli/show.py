"""`zoo show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import nn

    from zoo.models.autoencoder import AudioAutoencoder


def show(
    name: Annotated[str, typer.Argument(help="Name of `zoo list models`, or a config file")],
    batch: Annotated[int, typer.Option("--batch", min=1, help="Clips in a training step")] = 1,
    segment: Annotated[
        int, typer.Option("--segment", min=1, help="Samples of a training clip")
    ] = 65536,
) -> None:
    """Show a network as a table: layers, weights, rates, receptive field, cost."""
    from zoo.config.load import load_config

    config = load_config(name)

    import torch
    from rich.console import Console
    from rich.table import Table

    from zoo.factory import create_model_from_config

    with torch.device("meta"):
        model = create_model_from_config(config)
    console = Console(highlight=False)
    table = Table("layer", "kind", "channels", "stride", "weights", box=None)
    for part in ("encoder", "decoder", "diffusion"):
        network = getattr(model, part, None)
        if network is not None and _weights(network):
            _add_layers(table, part, network)
    console.print(table)
    for line in (*_facts(model), *_costs(model, batch, segment)):
        console.print(line)


def _add_layers(table, part: str, network: nn.Module) -> None:
    for index, layer in _layers(network):
        weights = _weights(layer)
        if weights == 0:
            table.add_row(f"{part}.{index}", type(layer).__name__, "", "", "")
            continue
        channels, stride = _shape(layer)
        table.add_row(f"{part}.{index}", type(layer).__name__, channels, stride, f"{weights:,}")
    table.add_row(part, "", "", "", f"{_weights(network):,}", style="bold")


def _layers(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of a network in order, each with its name."""
    layers = getattr(network, "layers", None)
    if layers is not None:
        return [(str(index), layer) for index, layer in enumerate(layers)]
    # A diffusion network is held as `model`.
    return list(network.get_submodule("model").named_children())


def _shape(layer: nn.Module) -> tuple[str, str]:
    """What changes through a layer: the channels of its first and last kernel, its stride."""
    kernels = [kernel for module in layer.modules() if (kernel := _kernel(module))]
    if not kernels:
        return "", ""
    stride, sign = max((stride, sign) for _, _, stride, sign in kernels)
    return f"{kernels[0][0]} > {kernels[-1][1]}", f"{sign}{stride}" if stride > 1 else ""


def _kernel(module: nn.Module) -> tuple[int, int, int, str] | None:
    """Input and output channels, stride, and its sign; None unless it is a convolution."""
    from torch import nn

    from zoo.nets.conv import UpConv1d, WNConv1d, WNConvTranspose1d

    match module:
        case WNConv1d():
            return *module.channels, module.stride, "/"
        case UpConv1d() | WNConvTranspose1d():
            return *module.channels, module.stride, "x"
        case nn.Conv1d() | nn.ConvTranspose1d():
            sign = "x" if isinstance(module, nn.ConvTranspose1d) else "/"
            return module.in_channels, module.out_channels, module.stride[0], sign
        case _:
            return None


def _weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _facts(model: AudioAutoencoder) -> list[str]:
    rate, ratio = model.sample_rate, model.downsampling_ratio
    if model.pretransform is not None:
        kind, frame = type(model.pretransform).__name__, model.pretransform.downsampling_ratio
        facts = [f"pretransform     {kind}, {frame} samples per frame"]
    else:
        facts = []
    facts += [
        f"weights          {_weights(model):,}",
        f"audio            {model.in_channels} channels at {rate:,} Hz",
        f"ratio            {ratio} samples per latent frame",
        f"latents          {model.latent_dim} channels at {rate / ratio:.2f} Hz",
    ]
    for side in ("encoder", "decoder"):
        try:
            before, after = getattr(model, f"{side}_context")
        except NotImplementedError as error:
            facts.append(f"{side} sees     no finite span: {error}")
            continue
        seconds = (before + 1 + after) * ratio / rate
        facts.append(
            f"{side} sees     {before} + 1 + {after} frames ({seconds:.2f} s) for each frame"
        )
    return facts


def _costs(model: AudioAutoencoder, batch: int, segment: int) -> list[str]:
    import math

    from zoo.evaluation.cost import cost, training_bytes

    given, frame_rate = cost(model), model.sample_rate / model.downsampling_ratio
    each = f" and step, {model.steps} steps by default" if hasattr(model, "steps") else ""
    lines = [
        f"encoding         {given.encode_gflop:.2f} GFLOP per second of audio",
        f"decoding         {given.decode_gflop:.2f} GFLOP per second of audio{each}",
    ]
    if model.is_discrete:
        bits = model.bottleneck.num_quantizers * math.log2(model.bottleneck.codebook_size)  # type: ignore[union-attr]
        lines.append(f"bit rate         {bits * frame_rate / 1000:.2f} kbit/s")
    memory = training_bytes(model, batch, segment) / 2**30
    lines.append(
        f"training         about {memory:.2f} GiB for the autoencoder in float32, "
        f"batch {batch} x {segment} samples, with Adam"
    )
    return lines
