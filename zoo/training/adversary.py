"""A discriminator and the losses that it and the autoencoder train with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo.config.discriminators import DiscriminatorConfig
from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.spectrogram import without_autocast
from zoo.training.losses.by_type import adversarial_losses
from zoo.training.objective import Term


class Adversary(nn.Module):
    """Adversarial losses and feature matching. Audio is (batch, channels, samples).

    Args:
        discriminator: gives a `Judgement` of audio.
        config: its type, which decides the losses, their weights and the warm-up.
    """

    def __init__(self, discriminator: nn.Module, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.config = config
        self.losses = adversarial_losses(config)

    def learns(self, step: int) -> bool:
        """Whether the discriminator is trained at this step."""
        return self.judges(step) or self.config.warmup_mode == "adv"

    def judges(self, step: int) -> bool:
        """Whether the autoencoder sees its losses at this step."""
        return step >= self.config.warmup_steps

    def discriminator_loss(self, reals: Tensor, fakes: Tensor) -> Tensor:
        """Low where reals and fakes are told apart."""
        return self.losses.discriminator(self._judgement(reals), self._judgement(fakes))

    def generator_losses(self, reals: Tensor, fakes: Tensor) -> dict[str, Term]:
        """Low where fakes pass for reals. No gradient reaches the discriminator's weights."""
        with torch.no_grad():
            real = self._judgement(reals)
        with _frozen(self.discriminator):
            fake = self._judgement(fakes)
        weights = self.config.weights
        return {
            "adversarial": Term(self.losses.generator(real, fake), weights.adversarial),
            "feature_matching": Term(self.losses.features(real, fake), weights.feature_matching),
        }

    def _judgement(self, audio: Tensor) -> Judgement:
        if not self.config.float32:
            return self.discriminator(audio)
        with without_autocast(audio):
            return self.discriminator(audio.to(_dtype(self.discriminator)))


def _dtype(network: nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype


@contextlib.contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """The graph that is built meanwhile needs no gradient of the weights."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
