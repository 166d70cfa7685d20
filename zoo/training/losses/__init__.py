"""What training minimises."""

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
from zoo.training.losses.mel import MultiResolutionMelLoss
from zoo.training.losses.semantic import SemanticLoss
from zoo.training.losses.stft import MidSideSTFTLoss, MultiResolutionSTFTLoss, StereoSTFTLoss
from zoo.training.losses.time import l1, l2, normalised_l2, si_sdr

__all__ = [
    "MidSideSTFTLoss",
    "MultiResolutionMelLoss",
    "MultiResolutionSTFTLoss",
    "SemanticLoss",
    "StereoSTFTLoss",
    "feature_matching",
    "hinge_discriminator",
    "hinge_generator",
    "l1",
    "l2",
    "least_squares_discriminator",
    "least_squares_generator",
    "normalised_l2",
    "relativistic_discriminator",
    "relativistic_generator",
    "si_sdr",
    "unit_hinge_discriminator",
    "unit_hinge_generator",
]
