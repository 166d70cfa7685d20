"""The encoder and decoder of the Descript Audio Codec.

Source: Kumar et al. 2023, arXiv:2306.06546; descript-audio-codec `dac/model/dac.py` and
stable_audio_tools/models/autoencoders.py (architecture and state-dict keys).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.nets.activations import Snake1d
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.conv import DownConv1d, UpConv1d, WNConv1d


class ResidualUnit(Checkpointed):
    """x + f(x) with two convolutions. (batch, channels, samples), same shape out."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        side = 3 * dilation
        self.block = nn.Sequential(
            Snake1d(channels),
            WNConv1d(channels, channels, 7, padding=(side, side), dilation=dilation),
            Snake1d(channels),
            WNConv1d(channels, channels, 1),
        )

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.block)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.recomputed(self.block, x)


class _Block(nn.Module):
    """Layers one behind the other, under the key `block`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.block)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def _residual_units(channels: int) -> list[ResidualUnit]:
    return [ResidualUnit(channels, dilation) for dilation in (1, 3, 9)]


class EncoderBlock(_Block):
    """(batch, channels, samples) → (batch, 2 · channels, samples / stride)."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(
            *_residual_units(channels),
            Snake1d(channels),
            DownConv1d(channels, 2 * channels, stride),
        )


class DecoderBlock(_Block):
    """(batch, in_channels, frames) → (batch, out_channels, frames · stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(
            Snake1d(in_channels),
            UpConv1d(in_channels, out_channels, stride),
            *_residual_units(out_channels),
        )


class DacEncoder(nn.Module):
    """(batch, in_channels, samples) → (batch, latent_dim, samples / product of strides).

    Args:
        d_model: width of the first layer, doubled by each block.
        latent_dim: None leaves the width of the last layer as it is, without a projection.
    """

    def __init__(
        self,
        d_model: int,
        strides: Sequence[int],
        latent_dim: int | None = None,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        width = d_model * 2 ** len(strides)
        self.encoder = _Block(
            WNConv1d(in_channels, d_model, 7, padding=(3, 3)),
            *(EncoderBlock(d_model * 2**i, stride) for i, stride in enumerate(strides)),
            Snake1d(width),
            WNConv1d(width, width, 3, padding=(1, 1)),
        )
        self.proj_out = nn.Identity() if latent_dim is None else nn.Conv1d(width, latent_dim, 1)

    @property
    def layers(self) -> list[nn.Module]:
        return [*self.encoder.layers, self.proj_out]

    def forward(self, x: Tensor) -> Tensor:
        return self.proj_out(self.encoder(x))


class DacDecoder(nn.Module):
    """(batch, latent_dim, frames) → (batch, out_channels, frames · product of rates), by tanh.

    Args:
        channels: width of the first layer, halved and rounded down by each block.
        rates: from latents to audio.
    """

    def __init__(
        self, latent_dim: int, channels: int, rates: Sequence[int], out_channels: int = 1
    ) -> None:
        super().__init__()
        widths = [channels // 2**i for i in range(len(rates) + 1)]
        model = nn.Sequential(
            WNConv1d(latent_dim, channels, 7, padding=(3, 3)),
            *map(DecoderBlock, widths, widths[1:], rates),
            Snake1d(widths[-1]),
            WNConv1d(widths[-1], out_channels, 7, padding=(3, 3)),
            nn.Tanh(),
        )
        # Nested as upstream's keys are: decoder.model.…
        self.decoder = nn.ModuleDict({"model": model})

    @property
    def layers(self) -> list[nn.Module]:
        return list(self._model)

    @property
    def _model(self) -> nn.Sequential:
        model = self.decoder["model"]
        assert isinstance(model, nn.Sequential)
        return model

    def forward(self, x: Tensor) -> Tensor:
        return self._model(x)
