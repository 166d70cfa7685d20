"""The attention U-Net of Dance Diffusion, conditioned by channels beside the noisy audio.

Source: stable_audio_tools/models/diffusion.py (architecture and state-dict keys); Harmonai 2022,
Dance Diffusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.quasirandom import SobolEngine

from zoo.nets.diffusion.dau_blocks import (
    ResConvBlock,
    SelfAttention1d,
    SkipBlock,
    downsample,
    upsample,
)
from zoo.nets.diffusion.fourier_features import FourierFeatures

_TIME_FEATURES = 16
_CHANNELS = (128, 128, 256, 256) + (512,) * 10
_STRIDES = (2,) * 13


class DAU1DCondWrapper(nn.Module):
    """Noisy audio, its time and a condition to a prediction.

    Args:
        options: those of `DiffusionAttnUnet1D`.
    """

    def __init__(self, **options) -> None:
        super().__init__()
        self.model = DiffusionAttnUnet1D(**options)
        _halve(self.model)

    @property
    def reach(self) -> tuple[int, int]:
        """Samples before and after an output that it sees. Raises: NotImplementedError."""
        raise NotImplementedError("norms and attention depend on all of the signal")

    def forward(self, x: Tensor, t: Tensor, input_concat_cond: Tensor | None = None) -> Tensor:
        """A prediction for noisy audio.

        Args:
            x: (batch, channels, samples); samples a multiple of the product of the strides.
            t: (batch,), diffusion time in 0…1.
            input_concat_cond: (batch, cond_dim, frames), stretched to `samples`.

        Returns:
            (batch, channels, samples).
        """
        return self.model(x, t, input_concat_cond)


class DiffusionAttnUnet1D(nn.Module):
    """A U-Net over time, with self-attention at its deepest levels.

    Args:
        io_channels: of the audio.
        depth: levels, at least 2; the first has the rate of the audio.
        n_attn_layers: one less than the levels with attention, of the deepest; 0 for none.
        channels: width of each level.
        cond_dim: channels of the condition.
        cond_noise_aug: noise of random strength on the condition in training.
        kernel_size: of the convolutions, odd.
        learned_resample: changes of rate by convolutions, by any stride; else cubic, by 2.
        strides: change of rate before each level but the first.
        conv_bias: whether convolutions of residual blocks have a bias.
        use_snake: Snake instead of GELU.
    """

    def __init__(
        self,
        io_channels: int = 2,
        depth: int = 14,
        n_attn_layers: int = 6,
        channels: Sequence[int] = _CHANNELS,
        cond_dim: int = 0,
        cond_noise_aug: bool = False,
        kernel_size: int = 5,
        learned_resample: bool = False,
        strides: Sequence[int] = _STRIDES,
        conv_bias: bool = True,
        use_snake: bool = False,
    ) -> None:
        super().__init__()
        assert depth >= 2, "a U-Net of one level has nothing below its skip"
        self.cond_noise_aug = cond_noise_aug
        self.timestep_embed = FourierFeatures(1, _TIME_FEATURES)

        # upstream: its ResConvBlock does not take `use_snake`, so that nothing can be built.
        conv = partial(
            ResConvBlock, kernel_size=kernel_size, conv_bias=conv_bias, use_snake=use_snake
        )
        below: nn.Module = nn.Identity()
        for level in range(depth, 1, -1):
            width, above = channels[level - 1], channels[level - 2]
            stride = strides[level - 2]
            assert learned_resample or stride == 2, "cubic resampling is by 2"
            attends = n_attn_layers > 0 and level >= depth - n_attn_layers
            attention = SelfAttention1d if attends else nn.Identity
            below = SkipBlock(
                downsample(above, stride, learned_resample),
                conv(above, width, width),
                attention(width),
                conv(width, width, width),
                attention(width),
                conv(width, width, width),
                attention(width),
                below,
                conv(width if level == depth else 2 * width, width, width),
                attention(width),
                conv(width, width, width),
                attention(width),
                conv(width, width, above),
                attention(above),
                upsample(above, stride, learned_resample),
            )
        width = channels[0]
        embedded = _TIME_FEATURES * (2 if cond_noise_aug else 1)
        self.net = nn.Sequential(
            conv(io_channels + cond_dim + embedded, width, width),
            conv(width, width, width),
            conv(width, width, width),
            below,
            conv(2 * width, width, width),
            conv(width, width, width),
            conv(width, width, io_channels, is_last=True),
        )
        _halve(self.net)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Shapes as in `DAU1DCondWrapper.forward`."""
        inputs = [x, self._embedded(t, x)]
        if condition is not None:
            if condition.shape[-1] != x.shape[-1]:
                # upstream: linear here, but its autoencoder stretches to the nearest before.
                condition = F.interpolate(condition, x.shape[-1], mode="nearest")
            if self.cond_noise_aug:
                level = self._noise_level(condition)
                if self.training:
                    condition = condition + torch.randn_like(condition) * level[:, None, None]
                inputs.append(self._embedded(level, x))
            inputs.append(condition)
        return self.net(torch.cat(inputs, dim=1))

    def _noise_level(self, condition: Tensor) -> Tensor:
        if not self.training:
            # upstream: adds noise in eval mode too.
            return condition.new_zeros(len(condition))
        # upstream: goes on in one Sobol sequence, which is lost when training resumes.
        return SobolEngine(1, scramble=True).draw(len(condition))[:, 0].to(condition)

    def _embedded(self, t: Tensor, x: Tensor) -> Tensor:
        return self.timestep_embed(t[:, None]).to(x.dtype)[..., None].expand(-1, -1, x.shape[-1])


def _halve(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
