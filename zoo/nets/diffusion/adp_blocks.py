"""The blocks of a U-Net: down, up, and the one at its lowest rate.

Source: Schneider et al. 2023 (Moûsai), arXiv:2301.11757; stable_audio_tools/models/adp.py
(architecture and state-dict keys).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.nets.diffusion.adp_attention import Heads, Transformer1d
from zoo.nets.diffusion.adp_resnet import ResnetBlock1d


@dataclass(frozen=True)
class Signals:
    """What every block listens to.

    Args:
        mapping: (batch, features), of the diffusion time and the global condition.
        embedding: (batch, frames, features), for cross attention.
        embedding_mask: (batch, frames), false where `embedding` is padding.
    """

    mapping: Tensor | None = None
    embedding: Tensor | None = None
    embedding_mask: Tensor | None = None


@dataclass(frozen=True)
class BlockOptions:
    """What all blocks share.

    Args:
        num_groups: of the norms of residual blocks.
        mapping_features: width of the mapping; no mapping if `None`.
        heads: shape of the transformers.
    """

    num_groups: int
    mapping_features: int | None
    heads: Heads

    def resnet(self, in_channels: int, out_channels: int) -> ResnetBlock1d:
        return ResnetBlock1d(in_channels, out_channels, self.num_groups, self.mapping_features)

    def transformer(self, layers: int, channels: int) -> Transformer1d | None:
        return Transformer1d(layers, channels, self.heads) if layers else None


class _Block(nn.Module):
    transformer: Transformer1d | None

    def attend(self, x: Tensor, signals: Signals) -> Tensor:
        if self.transformer is None:
            return x
        return self.transformer(x, signals.embedding, signals.embedding_mask)


class DownsampleBlock1d(_Block):
    """(batch, in_channels, n) → (batch, out_channels, n / factor), and what the way up needs of it.

    Args:
        factor: frames per frame of the output.
        layers: residual blocks.
        attentions: transformer layers.
        kernel_multiplier: length of the strided kernel in multiples of `factor`, even.
        context_channels: of the condition that joins here; none if 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        options: BlockOptions,
        *,
        factor: int,
        layers: int,
        attentions: int,
        kernel_multiplier: int,
        context_channels: int,
    ) -> None:
        super().__init__()
        assert kernel_multiplier % 2 == 0, kernel_multiplier
        kernel_size = factor * kernel_multiplier + 1
        # An odd surplus has its larger half on the left; on the right no frame reaches it.
        padding = math.ceil((kernel_size - factor) / 2)
        self.downsample = nn.Conv1d(
            in_channels, out_channels, kernel_size, stride=factor, padding=padding
        )
        joined = [out_channels + context_channels] + [out_channels] * (layers - 1)
        self.blocks = nn.ModuleList(
            options.resnet(width, out_channels) for width in joined[:layers]
        )
        self.transformer = options.transformer(attentions, out_channels)

    def forward(
        self, x: Tensor, condition: Tensor | None, signals: Signals
    ) -> tuple[Tensor, list[Tensor]]:
        x = self.downsample(x)
        if condition is not None:
            x = torch.cat((x, condition), dim=1)
        skips: list[Tensor] = []
        for block in self.blocks:
            x = block(x, signals.mapping)
            skips.append(x)
        if self.transformer is not None:
            x = self.attend(x, signals)
            skips.append(x)
        return x, skips


class UpsampleBlock1d(_Block):
    """(batch, in_channels, n) → (batch, out_channels, n · factor).

    Args:
        layers: residual blocks; each takes one skip.
        use_nearest: repeat and convolve instead of a transposed convolution.
        use_skip_scale: multiply skips by √½.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        options: BlockOptions,
        *,
        factor: int,
        layers: int,
        attentions: int,
        use_nearest: bool,
        use_skip_scale: bool,
    ) -> None:
        super().__init__()
        self.skip_scale = 2**-0.5 if use_skip_scale else 1.0
        self.blocks = nn.ModuleList(
            options.resnet(2 * in_channels, in_channels) for _ in range(layers)
        )
        self.transformer = options.transformer(attentions, in_channels)
        self.upsample = _upsample(in_channels, out_channels, factor, use_nearest)

    def forward(self, x: Tensor, skips: list[Tensor], signals: Signals) -> Tensor:
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = block(torch.cat((x, skip * self.skip_scale), dim=1), signals.mapping)
        return self.upsample(self.attend(x, signals))


def _upsample(in_channels: int, out_channels: int, factor: int, use_nearest: bool) -> nn.Module:
    if factor > 1 and not use_nearest:
        return nn.ConvTranspose1d(
            in_channels,
            out_channels,
            2 * factor,
            stride=factor,
            padding=math.ceil(factor / 2),
            output_padding=factor % 2,
        )
    conv = nn.Conv1d(in_channels, out_channels, 3, padding=1)
    return conv if factor == 1 else nn.Sequential(nn.Upsample(scale_factor=factor), conv)


class BottleneckBlock1d(_Block):
    """The block at the lowest rate. (batch, channels, n), same shape out."""

    def __init__(self, channels: int, options: BlockOptions, *, attentions: int) -> None:
        super().__init__()
        self.pre_block = options.resnet(channels, channels)
        self.transformer = options.transformer(attentions, channels)
        self.post_block = options.resnet(channels, channels)

    def forward(self, x: Tensor, signals: Signals) -> Tensor:
        x = self.attend(self.pre_block(x, signals.mapping), signals)
        return self.post_block(x, signals.mapping)
