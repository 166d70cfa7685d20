"""Losses of a discriminator and of the generator it judges: means over sub-discriminators."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.spectrogram import without_autocast


def hinge_discriminator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `reals` score above 1 and `fakes` below -1. Judge detached fakes.

    Source: Lim & Ye, arXiv 1705.02894; upstream `models/discriminators.py` `get_hinge_losses`.
    """
    pairs = zip(reals.logits, fakes.logits, strict=True)
    return _average(
        torch.relu(1 - real.float()).mean() + torch.relu(1 + fake.float()).mean()
        for real, fake in pairs
    )


def hinge_generator(fakes: Judgement) -> Tensor:
    """Low where `fakes` score high."""
    return _average(-fake.float().mean() for fake in fakes.logits)


def least_squares_discriminator(reals: Judgement, fakes: Judgement) -> Tensor:
    """Low where `reals` score 1 and `fakes` score 0. Judge detached fakes.

    The average over sub-discriminators, where descript-audio-codec has the sum.

    Source: Mao et al., arXiv 1611.04076.
    """
    pairs = zip(reals.logits, fakes.logits, strict=True)
    return _average(
        (1 - real.float()).square().mean() + fake.float().square().mean() for real, fake in pairs
    )


def least_squares_generator(fakes: Judgement) -> Tensor:
    """Low where `fakes` score 1."""
    return _average((1 - fake.float()).square().mean() for fake in fakes.logits)


def feature_matching(reals: Judgement, fakes: Judgement, *, normalised: bool = False) -> Tensor:
    """Mean absolute difference of features, averaged over the layers of each sub-discriminator.

    The features of `reals` are targets: no gradient reaches them, so judge them under `no_grad`.

    Args:
        reals: Judgement of the target.
        fakes: Judgement of the prediction.
        normalised: Whether to divide each difference by the mean absolute feature of `reals` +
            1e-3.

    Source: Kumar et al., arXiv 1910.06711; upstream `EncodecDiscriminator.loss`.
    """
    scales = zip(reals.features, fakes.features, strict=True)
    return _average(
        _average(
            _distance(real.detach(), fake, normalised)
            for real, fake in zip(real_layers, fake_layers, strict=True)
        )
        for real_layers, fake_layers in scales
    )


def _distance(real: Tensor, fake: Tensor, normalised: bool) -> Tensor:
    # The gradient of a mean is a full tensor in row order, which slows every channels-last layer
    # behind it by a third; that of a sum is one number.
    with without_autocast(fake):
        difference = (fake - real).abs().sum(dtype=torch.float32) / real.numel()
        if normalised:
            difference = difference / (real.abs().mean(dtype=torch.float32) + 1e-3)
    return difference


def _average(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).mean()
