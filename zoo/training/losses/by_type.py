"""The losses that each type of discriminator trains with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from torch import Tensor

from zoo.config.discriminators import (
    BigVGANDiscriminatorConfig,
    DACDiscriminatorConfig,
    DiscriminatorConfig,
    EncodecDiscriminatorConfig,
    OobleckDiscriminatorConfig,
)
from zoo.nets.discriminators.judgement import Judgement
from zoo.training.losses.adversarial import (
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    least_squares_discriminator,
    least_squares_generator,
    relativistic_discriminator,
    relativistic_generator,
    unit_hinge_discriminator,
    unit_hinge_generator,
)

Comparison = Callable[[Judgement, Judgement], Tensor]


@dataclass(frozen=True)
class AdversarialLosses:
    """Each takes the judgements of reals and of fakes, and gives a scalar.

    Attributes:
        discriminator: Low where reals and fakes are told apart.
        generator: Low where fakes pass for reals.
        features: Low where both have the same features.
    """

    discriminator: Comparison
    generator: Comparison
    features: Comparison


def adversarial_losses(config: DiscriminatorConfig) -> AdversarialLosses:
    """The losses of upstream's class for this type.

    Source: upstream `models/discriminators.py`.
    """
    match config:
        case EncodecDiscriminatorConfig(config=given):
            features = partial(feature_matching, normalised=given.normalize_losses)
            if given.loss_type == "rpgan":
                return AdversarialLosses(
                    relativistic_discriminator, relativistic_generator, features
                )
            return AdversarialLosses(hinge_discriminator, _of_fakes(hinge_generator), features)
        case DACDiscriminatorConfig(config=given):
            return _waveform(given.use_hinge)
        case OobleckDiscriminatorConfig():
            return AdversarialLosses(
                hinge_discriminator, _of_fakes(hinge_generator), _summed_features
            )
        case BigVGANDiscriminatorConfig(config=given):
            periods, number = _waveform(given.use_hinge), len(given.periods)
            features = partial(feature_matching, normalised=True, eps=0.0)
            return AdversarialLosses(
                _sum_of_parts(number, periods.discriminator, least_squares_discriminator),
                _sum_of_parts(number, periods.generator, _of_fakes(least_squares_generator)),
                _sum_of_parts(number, periods.features, features),
            )
        case _:
            assert_never(config)


def _waveform(use_hinge: bool) -> AdversarialLosses:
    if use_hinge:
        return AdversarialLosses(
            unit_hinge_discriminator, _of_fakes(unit_hinge_generator), feature_matching
        )
    return AdversarialLosses(
        least_squares_discriminator, _of_fakes(least_squares_generator), feature_matching
    )


def _of_fakes(loss: Callable[[Judgement], Tensor]) -> Comparison:
    return lambda reals, fakes: loss(fakes)


def _summed_features(reals: Judgement, fakes: Judgement) -> Tensor:
    (layers,) = reals.features
    return feature_matching(reals, fakes) * len(layers)


def _sum_of_parts(number: int, first: Comparison, second: Comparison) -> Comparison:
    """`first` of the first `number` sub-discriminators plus `second` of the others."""

    def part(judgement: Judgement, which: slice) -> Judgement:
        return Judgement(judgement.logits[which], judgement.features[which])

    def loss(reals: Judgement, fakes: Judgement) -> Tensor:
        head, tail = slice(number), slice(number, None)
        return first(part(reals, head), part(fakes, head)) + second(
            part(reals, tail), part(fakes, tail)
        )

    return loss
