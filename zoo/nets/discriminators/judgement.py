"""What a discriminator says about a signal."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """One entry per sub-discriminator.

    Attributes:
        logits: Scores, high for real and low for fake, of any shape.
        features: The activations on the way to each of the `logits`.
    """

    logits: list[Tensor]
    features: list[list[Tensor]]
