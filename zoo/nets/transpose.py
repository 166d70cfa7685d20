"""Time and channels exchanged, as a layer of a sequence."""

from __future__ import annotations

from torch import Tensor, nn


class Transpose(nn.Module):
    """(batch, channels, frames) → (batch, frames, channels), and back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)
