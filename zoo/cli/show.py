"""`zoo show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import nn

    from zoo.models.autoencoder import AudioAutoencoder


def show(
    name: Annotated[str, typer.Argument(help="Name of `zoo list models`, or a config file")],
) -> None:
    """Show a network as a table: layers, weights, ratio, latent rate, receptive field."""
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
    for part in ("encoder", "decoder"):
        _add_layers(table, part, getattr(model, part))
    console.print(table)
    for line in _facts(model):
        console.print(line)


def _add_layers(table, part: str, network: nn.Module) -> None:
    for index, layer in enumerate(network.layers):  # type: ignore[arg-type]
        weights = _weights(layer)
        if weights == 0:
            table.add_row(f"{part}.{index}", type(layer).__name__, "", "", "")
            continue
        channels, stride = _shape(layer)
        table.add_row(f"{part}.{index}", type(layer).__name__, channels, stride, f"{weights:,}")
    table.add_row(part, "", "", "", f"{_weights(network):,}", style="bold")


def _shape(layer: nn.Module) -> tuple[str, str]:
    """What changes through a layer: the channels of its first and last kernel, its stride."""
    from zoo.nets.conv import UpConv1d, WNConv1d

    convs = [module for module in layer.modules() if isinstance(module, WNConv1d | UpConv1d)]
    if not convs:
        return "", ""
    stride = max(convs, key=lambda conv: conv.stride)
    into, out = convs[0].channels[0], convs[-1].channels[1]
    sign = "x" if isinstance(stride, UpConv1d) else "/"
    return f"{into} > {out}", f"{sign}{stride.stride}" if stride.stride > 1 else ""


def _weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _facts(model: AudioAutoencoder) -> list[str]:
    rate, ratio = model.sample_rate, model.downsampling_ratio
    facts = [
        f"weights          {_weights(model):,}",
        f"audio            {model.in_channels} channels at {rate:,} Hz",
        f"ratio            {ratio} samples per latent frame",
        f"latents          {model.latent_dim} channels at {rate / ratio:.2f} Hz",
    ]
    for side in ("encoder", "decoder"):
        try:
            before, after = getattr(model, f"{side}_context")
        except NotImplementedError:
            facts.append(f"{side} sees     the whole signal for each frame")
            continue
        seconds = (before + 1 + after) * ratio / rate
        facts.append(
            f"{side} sees     {before} + 1 + {after} frames ({seconds:.2f} s) for each frame"
        )
    return facts
