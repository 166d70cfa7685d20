"""Normalisation of each frame by itself, and what replaces it.

Source: stable_audio_tools/models/transformer.py (state-dict keys).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerNorm(nn.Module):
    """Normalises each frame, with a gain. (…, channels), same shape out.

    Args:
        dim: channels.
        eps: added to the variance.
        bias: with a trained offset.
        fix_scale: the gain stays one.
        force_fp32: computed in float32 for half precision.
    """

    def __init__(
        self,
        dim: int,
        eps: float = 1e-5,
        *,
        bias: bool = False,
        fix_scale: bool = False,
        force_fp32: bool = False,
    ) -> None:
        super().__init__()
        self.eps, self.force_fp32 = eps, force_fp32
        self._add("gamma", torch.ones(dim), trained=not fix_scale)
        self._add("beta", torch.zeros(dim), trained=bias)
        self.gamma: Tensor
        self.beta: Tensor

    def _add(self, name: str, value: Tensor, *, trained: bool) -> None:
        if trained:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        if not self.force_fp32:
            return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta, self.eps)
        kind = torch.promote_types(x.dtype, torch.float32)
        gain, offset = self.gamma.to(kind), self.beta.to(kind)
        return F.layer_norm(x.to(kind), x.shape[-1:], gain, offset, self.eps).to(x.dtype)


class DynamicTanh(nn.Module):
    """tanh with trained slope, gain and offset. (…, channels), same shape out.

    Source: Zhu et al. 2025, arXiv:2503.10622.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 10.0))
        self.gamma = nn.Parameter(torch.ones(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * torch.tanh(self.alpha * x) + self.beta


class UnitNorm(nn.Module):
    """Vectors of length one. (…, channels), same shape out."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)
