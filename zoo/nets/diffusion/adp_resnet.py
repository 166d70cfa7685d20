"""Residual blocks shifted and scaled by the diffusion time, and patches made of them.

Source: Schneider et al. 2023 (Moûsai), arXiv:2301.11757; stable_audio_tools/models/adp.py
(architecture and state-dict keys).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.diffusion.group_norm import GroupNorm


class ConvBlock1d(nn.Module):
    """Norm, shift and scale, SiLU, convolution. (batch, in_channels, n) → (batch, out_channels, n).

    The scale and the shift are (batch, in_channels, 1).
    """

    def __init__(self, in_channels: int, out_channels: int, num_groups: int) -> None:
        super().__init__()
        self.groupnorm = GroupNorm(num_groups, in_channels)
        self.project = nn.Conv1d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, scale_shift: tuple[Tensor, Tensor] | None = None) -> Tensor:
        x = self.groupnorm(x)
        if scale_shift is not None:
            scale, shift = scale_shift
            x = x * (scale + 1) + shift
        return self.project(F.silu(x))


class MappingToScaleShift(nn.Module):
    """(batch, features) → a scale and a shift, (batch, channels, 1) each."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.to_scale_shift = nn.Sequential(nn.SiLU(), nn.Linear(features, 2 * channels))

    def forward(self, mapping: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.to_scale_shift(mapping)[..., None].chunk(2, dim=1)
        return scale, shift


class ResnetBlock1d(nn.Module):
    """Two convolutions beside a shortcut. (batch, in_channels, n) → (batch, out_channels, n).

    Args:
        num_groups: of the norms, a divisor of both widths.
        mapping_features: width of the mapping that the second norm obeys; none if `None`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, num_groups: int, mapping_features: int | None
    ) -> None:
        super().__init__()
        self.block1 = ConvBlock1d(in_channels, out_channels, num_groups)
        self.to_scale_shift = (
            None
            if mapping_features is None
            else MappingToScaleShift(mapping_features, out_channels)
        )
        self.block2 = ConvBlock1d(out_channels, out_channels, num_groups)
        same = in_channels == out_channels
        self.to_out = nn.Identity() if same else nn.Conv1d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, mapping: Tensor | None) -> Tensor:
        h = self.block1(x)
        if self.to_scale_shift is None:
            return self.block2(h) + self.to_out(x)
        assert mapping is not None
        return self.block2(h, self.to_scale_shift(mapping)) + self.to_out(x)


class Patcher(nn.Module):
    """A residual block, then patches. (batch, in_channels, n) → (batch, out_channels, n / patch).

    Args:
        patch_size: neighbouring frames joined into one, a divisor of `out_channels`.
        mapping_features: as in `ResnetBlock1d`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, patch_size: int, mapping_features: int | None
    ) -> None:
        super().__init__()
        assert out_channels % patch_size == 0, (out_channels, patch_size)
        self.patch_size = patch_size
        self.block = ResnetBlock1d(in_channels, out_channels // patch_size, 1, mapping_features)

    def forward(self, x: Tensor, mapping: Tensor | None) -> Tensor:
        x = self.block(x, mapping)
        return x.unflatten(2, (-1, self.patch_size)).transpose(2, 3).flatten(1, 2)


class Unpatcher(nn.Module):
    """Patches apart, then a residual block. (batch, in_channels, n) → (…, out_channels, n · patch).

    The arguments are those of `Patcher`, with `patch_size` a divisor of `in_channels`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, patch_size: int, mapping_features: int | None
    ) -> None:
        super().__init__()
        assert in_channels % patch_size == 0, (in_channels, patch_size)
        self.patch_size = patch_size
        self.block = ResnetBlock1d(in_channels // patch_size, out_channels, 1, mapping_features)

    def forward(self, x: Tensor, mapping: Tensor | None) -> Tensor:
        x = x.unflatten(1, (-1, self.patch_size)).transpose(2, 3).flatten(2)
        return self.block(x, mapping)
