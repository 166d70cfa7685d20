"""A discriminator and the losses that it and the autoencoder train with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.config.discriminators import DiscriminatorConfig
from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.precision import without_autocast
from zoo.training.losses.by_type import adversarial_losses
from zoo.training.objective import Term


@dataclass(frozen=True)
class Verdict:
    """Losses of one batch.

    Attributes:
        discriminator: low where reals and fakes are told apart; its gradient reaches the
            discriminator alone. None where it doesn't learn.
        generator: low where fakes pass for reals; their gradient reaches the fakes alone. Empty
            where they aren't asked for.
    """

    discriminator: Tensor | None
    generator: dict[str, Term]


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

    def verdict(
        self, reals: Tensor, fakes: Tensor, *, learns: bool = True, judges: bool = True
    ) -> Verdict:
        """The losses of both sides from one pass of the discriminator.

        Follow the generator's gradient first: the discriminator's own frees what both share.

        Args:
            learns: whether the discriminator's loss is wanted.
            judges: whether the generator's losses are.
        """
        heard = fakes.detach().requires_grad_(judges and fakes.requires_grad)
        with contextlib.nullcontext() if learns else _frozen(self.discriminator):
            fake = self._judgement(heard)
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            real = self._judgement(reals)
        generator: dict[str, Term] = {}
        if judges:
            values = self.losses.generator(real, fake), self.losses.features(real, fake)
            adversarial, features = _Relay.apply(fakes, (heard, values))  # type: ignore[misc]
            weights = self.config.weights
            generator["adversarial"] = Term(adversarial, weights.adversarial)
            generator["feature_matching"] = Term(features, weights.feature_matching)
        return Verdict(self.losses.discriminator(real, fake) if learns else None, generator)

    def generator_losses(self, reals: Tensor, fakes: Tensor) -> dict[str, Term]:
        """Those of `verdict` alone."""
        return self.verdict(reals, fakes, learns=False).generator

    def _judgement(self, audio: Tensor) -> Judgement:
        if not self.config.float32:
            return self.discriminator(audio)
        with without_autocast(audio):
            return self.discriminator(audio.to(_dtype(self.discriminator)))


class _Relay(torch.autograd.Function):
    """Values that were computed from a leaf, as if they came from the tensor that it copies.

    Their gradient is followed as far as the leaf, without one for the weights between, and goes on
    from the tensor. `computed` is (leaf, values).
    """

    @staticmethod
    def forward(
        ctx: Any, original: Tensor, computed: tuple[Tensor, tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        # In a tuple, so that autograd does not follow them by itself.
        ctx.leaf, ctx.values = computed
        ctx.set_materialize_grads(False)
        return tuple(value.detach().clone() for value in ctx.values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, None]:  # type: ignore[override]
        given = [(v, g) for v, g in zip(ctx.values, gradients, strict=True) if g is not None]
        values, received = zip(*given, strict=True)
        (gradient,) = torch.autograd.grad(values, ctx.leaf, received, retain_graph=True)
        return gradient, None


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
