"""Distances of waveforms, in float32 at least: (batch, channels, samples) twice → a scalar."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from zoo.nets.precision import widened, without_autocast


def l1(decoded: Tensor, reals: Tensor) -> Tensor:
    """Mean absolute difference."""
    assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
    with without_autocast(decoded):
        return F.l1_loss(widened(decoded), widened(reals))


def l2(decoded: Tensor, reals: Tensor) -> Tensor:
    """Mean squared difference."""
    assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
    with without_autocast(decoded):
        return F.mse_loss(widened(decoded), widened(reals))


def normalised_l2(decoded: Tensor, reals: Tensor, eps: float = 1e-4) -> Tensor:
    """Power of the difference over power of the target, per item, then averaged.

    1 for a silent prediction of any loud enough target: quiet items count as much as loud ones, and
    the gradient is large from the first step.

    Args:
        decoded: Prediction.
        reals: Target.
        eps: Added to the target's mean square; 1e-4 is -40 dB of full scale, below which an item
            counts less.
    """
    assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
    with without_autocast(decoded):
        decoded, reals = widened(decoded), widened(reals)
        error = (decoded - reals).square().mean(dim=(1, 2))
        return (error / (reals.square().mean(dim=(1, 2)) + eps)).mean()


def si_sdr(decoded: Tensor, reals: Tensor, eps: float = 1e-8) -> Tensor:
    """Negative scale-invariant signal-to-distortion ratio in dB, averaged over all channels.

    At most 80 for the default `eps`, which a silent channel costs.

    Args:
        decoded: Prediction.
        reals: Target.
        eps: Added to powers (sums of squares) and to their ratio.

    Source: Le Roux et al., arXiv 1811.02508; auraloss `SISDRLoss`.
    """
    assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
    with without_autocast(decoded):
        decoded, reals = widened(decoded), widened(reals)
        decoded = decoded - decoded.mean(-1, keepdim=True)
        reals = reals - reals.mean(-1, keepdim=True)
        power = reals.square().sum(-1, keepdim=True)
        target = (decoded * reals).sum(-1, keepdim=True) / (power + eps) * reals
        noise = (decoded - target).square().sum(-1)
        ratio = target.square().sum(-1) / (noise + eps)
        return -10 * (ratio + eps).log10().mean()
