"""The U-Net of audio-diffusion-pytorch, which denoises audio beside a condition.

Source: Schneider et al. 2023 (Moûsai), arXiv:2301.11757; stable_audio_tools/models/adp.py and
models/diffusion.py (architecture and state-dict keys).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.diffusion.adp_attention import Heads
from zoo.nets.diffusion.adp_blocks import (
    BlockOptions,
    BottleneckBlock1d,
    DownsampleBlock1d,
    Signals,
    UpsampleBlock1d,
)
from zoo.nets.diffusion.adp_resnet import Patcher, Unpatcher
from zoo.nets.diffusion.adp_stft import STFT


class LearnedPositionalEmbedding(nn.Module):
    """A number, and sine and cosine of it at trained frequencies. (batch,) → (batch, dim + 1)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        assert dim % 2 == 0, dim
        self.weights = nn.Parameter(torch.randn(dim // 2))

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, None]
        phase = x * self.weights * 2 * math.pi
        return torch.cat((x, phase.sin(), phase.cos()), dim=-1).to(self.weights.dtype)


class UNet1d(nn.Module):
    """Noisy audio to a prediction of the same length. (batch, in_channels, samples) → (…, out).

    Args:
        in_channels: of the audio.
        channels: unit of width.
        multipliers: width outside the first block, then inside each, in multiples of `channels`.
        factors: change of rate of each block.
        num_blocks: residual blocks of each block.
        attentions: transformer layers of each block; the last entry is that of the middle.
        patch_size: neighbouring samples joined into one frame.
        resnet_groups: groups of the norms.
        use_context_time: whether it learns the diffusion time.
        kernel_multiplier_downsample: length of strided kernels in multiples of the factor, even.
        use_nearest_upsample: repeat and convolve instead of transposed convolutions.
        use_skip_scale: multiply skips by √½.
        use_stft: work on the frames of an STFT.
        use_stft_context: the first of `context_channels` is samples too, and goes through it.
        out_channels: of the prediction; `in_channels` if `None`.
        context_features: width of the global condition; none if `None`.
        context_features_multiplier: width of the mapping in multiples of `channels`.
        context_channels: of the condition joined to the input, then at the rate of each block;
            0 or left out for none.
        context_embedding_features: width of the embedding for cross attention.
        attention_heads: heads of attention; as many as fit if `None`.
        attention_features: channels of a head; the width over the heads if `None`.
        attention_multiplier: width of feed-forward networks, in multiples of the block's.
        stft_num_fft, stft_hop_length, stft_window_length, stft_use_complex: as in `STFT`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        multipliers: Sequence[int],
        factors: Sequence[int],
        num_blocks: Sequence[int],
        attentions: Sequence[int],
        patch_size: int = 1,
        resnet_groups: int = 8,
        use_context_time: bool = True,
        kernel_multiplier_downsample: int = 2,
        use_nearest_upsample: bool = False,
        use_skip_scale: bool = True,
        use_stft: bool = False,
        use_stft_context: bool = False,
        out_channels: int | None = None,
        context_features: int | None = None,
        context_features_multiplier: int = 4,
        context_channels: Sequence[int] | None = None,
        context_embedding_features: int | None = None,
        attention_heads: int | None = None,
        attention_features: int | None = None,
        attention_multiplier: int | None = None,
        stft_num_fft: int | None = None,
        stft_hop_length: int = 256,
        stft_window_length: int | None = None,
        stft_use_complex: bool = False,
    ) -> None:
        super().__init__()
        widths = [channels * multiplier for multiplier in multipliers]
        layers = len(factors)
        assert len(widths) - 1 == layers == len(num_blocks) <= len(attentions)
        self.factor = patch_size * math.prod(factors)
        self.context_channels = [*(context_channels or ()), *[0] * (layers + 1)][: layers + 1]
        self.use_stft_context = use_stft_context

        mapping = channels * context_features_multiplier
        self.to_mapping = self.to_time = self.to_features = None
        if use_context_time or context_features is not None:
            self.to_mapping = nn.Sequential(
                nn.Linear(mapping, mapping), nn.GELU(), nn.Linear(mapping, mapping), nn.GELU()
            )
        if use_context_time:
            time = nn.Sequential(
                LearnedPositionalEmbedding(channels), nn.Linear(channels + 1, mapping)
            )
            self.to_time = nn.Sequential(time, nn.GELU())
        if context_features is not None:
            self.to_features = nn.Sequential(nn.Linear(context_features, mapping), nn.GELU())

        out_channels = in_channels if out_channels is None else out_channels
        context = self.context_channels[0]
        self.stft = None
        if use_stft:
            assert stft_num_fft is not None
            self.stft = STFT(
                stft_num_fft,
                stft_hop_length,
                stft_window_length,
                use_complex=stft_use_complex,
                multiple=self.factor,
            )
            in_channels *= 2 * self.stft.bins
            out_channels *= 2 * self.stft.bins
            context *= 2 * self.stft.bins if use_stft_context else 1

        heads = Heads(
            attention_heads, attention_features, attention_multiplier, context_embedding_features
        )
        options = BlockOptions(resnet_groups, mapping if self.to_mapping else None, heads)
        patches = patch_size, options.mapping_features
        self.to_in = Patcher(in_channels + context, widths[0], *patches)
        self.downsamples = nn.ModuleList(
            DownsampleBlock1d(
                widths[i],
                widths[i + 1],
                options,
                factor=factors[i],
                layers=num_blocks[i],
                attentions=attentions[i],
                kernel_multiplier=kernel_multiplier_downsample,
                context_channels=self.context_channels[i + 1],
            )
            for i in range(layers)
        )
        self.bottleneck = BottleneckBlock1d(widths[-1], options, attentions=attentions[-1])
        self.upsamples = nn.ModuleList(
            UpsampleBlock1d(
                widths[i + 1],
                widths[i],
                options,
                factor=factors[i],
                layers=num_blocks[i] + bool(attentions[i]),
                attentions=attentions[i],
                use_nearest=use_nearest_upsample,
                use_skip_scale=use_skip_scale,
            )
            for i in reversed(range(layers))
        )
        self.to_out = Unpatcher(widths[0], out_channels, *patches)

    def mapping(self, time: Tensor, features: Tensor | None) -> Tensor | None:
        """(batch,) and (batch, context_features) → (batch, mapping), or None without either."""
        if self.to_mapping is None:
            return None
        items: list[Tensor] = []
        if self.to_time is not None:
            items.append(self.to_time(time))
        if self.to_features is not None:
            assert features is not None, "a network with context_features needs a global condition"
            items.append(self.to_features(features))
        return self.to_mapping(sum(items[1:], items[0]))

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        *,
        features: Tensor | None = None,
        channels_list: Sequence[Tensor] = (),
        embedding: Tensor | None = None,
        embedding_mask: Tensor | None = None,
    ) -> Tensor:
        """A prediction of the same length.

        Args:
            x: (batch, in_channels, samples).
            time: (batch,).
            features: (batch, context_features).
            channels_list: (batch, channels, frames) for each of `context_channels` that isn't 0,
                at the rate where it joins.
            embedding: (batch, frames, context_embedding_features).
            embedding_mask: (batch, frames), false where `embedding` is padding.
        """
        samples = x.shape[-1]
        assert len(channels_list) >= sum(map(bool, self.context_channels)), "no condition"
        contexts = iter(channels_list)
        joining = [next(contexts) if width else None for width in self.context_channels]
        if self.stft is not None:
            x = self.stft.encode(x)
            if self.use_stft_context and joining[0] is not None:
                # upstream: expects the width of the condition's spectrum before the transform.
                joining[0] = self.stft.encode(joining[0])
        assert x.shape[-1] % self.factor == 0, (x.shape, self.factor)
        if joining[0] is not None:
            x = torch.cat((x, joining[0]), dim=1)
        signals = Signals(self.mapping(time, features), embedding, embedding_mask)
        x = outermost = self.to_in(x, signals.mapping)
        skips: list[list[Tensor]] = []
        for block, condition in zip(self.downsamples, joining[1:], strict=True):
            x, kept = block(x, condition, signals)
            skips.append(kept)
        x = self.bottleneck(x, signals)
        for block in self.upsamples:
            x = block(x, skips.pop(), signals)
        x = self.to_out(x + outermost, signals.mapping)
        return x if self.stft is None else self.stft.decode(x, samples)


class UNet1DCondWrapper(nn.Module):
    """A `UNet1d` that takes one condition. The arguments are those of `UNet1d`."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.model = UNet1d(**options)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.mul_(0.5)

    @property
    def reach(self) -> tuple[int, int]:
        """Samples before and after an output that it sees. Raises: NotImplementedError."""
        raise NotImplementedError("group norms depend on all of the signal")

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        input_concat_cond: Tensor | None = None,
        global_cond: Tensor | None = None,
        *,
        embedding: Tensor | None = None,
        embedding_mask: Tensor | None = None,
    ) -> Tensor:
        """What the noisy audio hides. (batch, channels, samples), same shape out.

        Args:
            x: (batch, channels, samples), noisy.
            t: (batch,), diffusion time in 0…1.
            input_concat_cond: (batch, condition, frames), stretched to `samples` if need be.
            global_cond: (batch, context_features).
            embedding, embedding_mask: as in `UNet1d`.
        """
        conditions: list[Tensor] = []
        if input_concat_cond is not None:
            condition = input_concat_cond.to(x.dtype)
            if condition.shape[-1] != x.shape[-1]:
                condition = F.interpolate(condition, x.shape[-1], mode="nearest")
            conditions.append(condition)
        return self.model(
            x,
            t,
            features=global_cond,
            channels_list=conditions,
            embedding=embedding,
            embedding_mask=embedding_mask,
        )
