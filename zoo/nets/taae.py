"""The transformer autoencoder: strided convolutions between transformers of windowed attention.

Source: stable_audio_tools/models/autoencoders.py (architecture and state-dict keys); Parker et
al. 2024, arXiv:2411.19842.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.nets.activations import SnakeBeta
from zoo.nets.attention import Window
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.conv import DownConv1d, UpConv1d, WNConv1d
from zoo.nets.oobleck import residual_units
from zoo.nets.transformer import TransformerBlock
from zoo.nets.transpose import Transpose


class TAAEBlock(nn.Module):
    """One change of rate, and the transformers at the lower of the two rates."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def _transformers(
    dim: int, depth: int, window: Window | None, conformer: bool, layer_scale: bool
) -> nn.Sequential:
    blocks = [
        TransformerBlock(
            dim,
            dim_heads=128,
            window=window,
            conformer=conformer,
            add_rope=True,
            layer_scale=layer_scale,
            attn_kwargs={"qk_norm": "ln"},
            norm_kwargs={"eps": 1e-2},
        )
        for _ in range(depth)
    ]
    return nn.Sequential(Transpose(), *blocks, Transpose())


def _snake(channels: int, use_snake: bool) -> nn.Module:
    return SnakeBeta(channels) if use_snake else nn.Identity()


class TAAEEncoder(nn.Module):
    """(batch, in_channels, samples) → (batch, latent_dim, samples / product of strides).

    Args:
        c_mults: width of each block in multiples of `channels`; above 128 a multiple of 128.
        transformer_depths: transformer blocks after each strided convolution.
        use_snake: Snake before each strided convolution, and instead of ELU.
        sliding_window: frames that a frame sees before and after itself; None for all.
        checkpointing: recompute activations in the backward pass.
        conformer: a depthwise convolution within each transformer block.
        layer_scale: a small gain for each branch instead of weights of zero at first.
        use_dilated_conv: residual units before each strided convolution.
    """

    def __init__(
        self,
        in_channels: int = 2,
        channels: int = 128,
        latent_dim: int = 32,
        c_mults: Sequence[int] = (1, 2, 4, 8),
        strides: Sequence[int] = (2, 4, 8, 8),
        transformer_depths: Sequence[int] = (3, 3, 3, 3),
        use_snake: bool = False,
        sliding_window: Window | None = (63, 64),
        checkpointing: bool = False,
        conformer: bool = False,
        layer_scale: bool = True,
        use_dilated_conv: bool = False,
    ) -> None:
        super().__init__()
        widths = [channels * mult for mult in (c_mults[0], *c_mults)]
        steps = zip(widths, widths[1:], strides, transformer_depths, strict=False)
        blocks = [
            TAAEBlock(
                *(residual_units(narrow, use_snake, False) if use_dilated_conv else ()),
                _snake(narrow, use_snake),
                # upstream: a change of width at stride 1 fails; it needs the convolution too.
                DownConv1d(narrow, wide, stride)
                if (narrow, 1) != (wide, stride)
                else nn.Identity(),
                _transformers(wide, depth, sliding_window, conformer, layer_scale),
            )
            for narrow, wide, stride, depth in steps
        ]
        self.layers = nn.Sequential(
            WNConv1d(in_channels, widths[0], 7, padding=(3, 3)),
            *blocks,
            _snake(widths[-1], use_snake),
            WNConv1d(widths[-1], latent_dim, 3, padding=(1, 1)),
        )
        set_checkpointing(self, checkpointing)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class TAAEDecoder(nn.Module):
    """(batch, latent_dim, frames) → (batch, out_channels, frames · product of strides).

    Its arguments are the encoder's, lists in the encoder's order; transformers stand before each
    transposed convolution, residual units behind it.
    """

    def __init__(
        self,
        out_channels: int = 2,
        channels: int = 128,
        latent_dim: int = 32,
        c_mults: Sequence[int] = (1, 2, 4, 8),
        strides: Sequence[int] = (2, 4, 8, 8),
        transformer_depths: Sequence[int] = (3, 3, 3, 3),
        use_snake: bool = False,
        sliding_window: Window | None = (63, 64),
        checkpointing: bool = False,
        conformer: bool = False,
        layer_scale: bool = True,
        use_dilated_conv: bool = False,
    ) -> None:
        super().__init__()
        widths = [channels * mult for mult in (c_mults[0], *c_mults)]
        steps = zip(widths, widths[1:], strides, transformer_depths, strict=False)
        blocks = [
            TAAEBlock(
                _transformers(wide, depth, sliding_window, conformer, layer_scale),
                # upstream: as wide as what follows the upsampling, which fails.
                _snake(wide, use_snake),
                UpConv1d(wide, narrow, stride) if (narrow, 1) != (wide, stride) else nn.Identity(),
                *(residual_units(narrow, use_snake, False) if use_dilated_conv else ()),
            )
            for narrow, wide, stride, depth in steps
        ]
        self.layers = nn.Sequential(
            WNConv1d(latent_dim, widths[-1], 3, padding=(1, 1)),
            *reversed(blocks),
            _snake(widths[0], use_snake),
            WNConv1d(widths[0], out_channels, 7, padding=(3, 3), bias=False),
        )
        set_checkpointing(self, checkpointing)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
