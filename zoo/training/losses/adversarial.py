"""Losses of a discriminator and of the generator it judges: means over sub-discriminators."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.precision import wide, widened, without_autocast


def hinge_discriminator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `reals` score above 1 and `fakes` below -1. Judge detached fakes.

    Source: Lim & Ye, arXiv 1705.02894; upstream `models/discriminators.py` `get_hinge_losses`.
    """
    pairs = zip(reals.logits, fakes.logits, strict=True)
    return _average(
        torch.relu(1 - widened(real)).mean() + torch.relu(1 + widened(fake)).mean()
        for real, fake in pairs
    )


def hinge_generator(fakes: Judgement) -> Tensor:
    """Low where `fakes` score high."""
    return _average(-widened(fake).mean() for fake in fakes.logits)


def least_squares_discriminator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `reals` score 1 and `fakes` score 0. Judge detached fakes.

    The average over sub-discriminators, as upstream has it, where descript-audio-codec has the sum.

    Source: Mao et al., arXiv 1611.04076.
    """
    pairs = zip(reals.logits, fakes.logits, strict=True)
    return _average(
        (1 - widened(real)).square().mean() + widened(fake).square().mean() for real, fake in pairs
    )


def least_squares_generator(fakes: Judgement) -> Tensor:
    """Low where `fakes` score 1."""
    return _average((1 - widened(fake)).square().mean() for fake in fakes.logits)


def unit_hinge_discriminator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `reals` score above 1 and `fakes` below 0. Judge detached fakes.

    Source: upstream `models/discriminators.py` `DACGANLoss` with `use_hinge`.
    """
    pairs = zip(reals.logits, fakes.logits, strict=True)
    return _average(
        torch.relu(1 - widened(real)).mean() + torch.relu(widened(fake)).mean()
        for real, fake in pairs
    )


def unit_hinge_generator(fakes: Judgement) -> Tensor:
    """Low where `fakes` score above 1."""
    return _average(torch.relu(1 - widened(fake)).mean() for fake in fakes.logits)


def relativistic_discriminator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `reals` score higher than `fakes` at the same place. Judge detached fakes.

    Source: Jolicoeur-Martineau, arXiv 1807.00734; Huang et al., arXiv 2501.05441.
    """
    pairs = zip(reals.logits, fakes.logits, strict=True)
    return _average(F.softplus(widened(fake) - widened(real)).mean() for real, fake in pairs)


def relativistic_generator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `fakes` score higher than `reals`, which may be judged under `no_grad`."""
    return relativistic_discriminator(reals=fakes, fakes=reals)


def feature_matching(
    reals: Judgement, fakes: Judgement, *, normalised: bool = False, eps: float = 1e-3
) -> Tensor:
    """Mean absolute difference of features, averaged over the layers of each sub-discriminator.

    The features of `reals` are targets: no gradient reaches them, so judge them under `no_grad`.

    Args:
        reals: Judgement of the target.
        fakes: Judgement of the prediction.
        normalised: Whether to divide each difference by the mean absolute feature of `reals` +
            `eps`.
        eps: Keeps a quiet layer from counting much.

    Source: Kumar et al., arXiv 1910.06711; upstream `EncodecDiscriminator.loss`.
    """
    scales = zip(reals.features, fakes.features, strict=True)
    return _average(
        _average(
            _distance(real.detach(), fake, eps if normalised else None)
            for real, fake in zip(real_layers, fake_layers, strict=True)
        )
        for real_layers, fake_layers in scales
    )


def _distance(real: Tensor, fake: Tensor, eps: float | None) -> Tensor:
    # The gradient of a mean is a full tensor in row order, which slows every channels-last layer
    # behind it by a third; that of a sum is one number.
    with without_autocast(fake):
        difference = (fake - real).abs().sum(dtype=wide(real.dtype)) / real.numel()
        if eps is not None:
            difference = difference / (real.abs().mean(dtype=wide(real.dtype)) + eps)
    return difference


def _average(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).mean()
