"""A few numbers as many sines and cosines.

Source: Tancik et al. 2020, arXiv:2006.10739; stable_audio_tools/models/blocks.py (state-dict key).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """Cosines and sines of random frequencies, which are trained. (…, n) → (…, out_features)."""

    def __init__(self, in_features: int, out_features: int, std: float = 1.0) -> None:
        super().__init__()
        assert out_features % 2 == 0
        self.weight = nn.Parameter(torch.randn(out_features // 2, in_features) * std)

    def forward(self, x: Tensor) -> Tensor:
        # upstream: rounds angles to half precision, which leaves few timesteps apart.
        kind = torch.promote_types(torch.promote_types(x.dtype, self.weight.dtype), torch.float32)
        angles = 2 * math.pi * (x.to(kind)[..., None, :] * self.weight.to(kind)).sum(-1)
        return torch.cat((angles.cos(), angles.sin()), dim=-1).to(self.weight.dtype)
