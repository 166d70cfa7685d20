"""The weighted sum of reconstruction and bottleneck losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.config.weights import DecayingWeight, weight_at

Loss = Callable[[Tensor, Tensor], Tensor]
Weight = float | DecayingWeight


@dataclass(frozen=True)
class Term:
    """One loss and its weight.

    Attributes:
        value: A scalar.
        weight: Its factor now.
        of_output: Whether the model learns it through the decoder's output alone.
        decays: Whether the factor changes from step to step.
    """

    value: Tensor
    weight: float
    of_output: bool = True
    decays: bool = False

    @property
    def weighted(self) -> Tensor:
        return self.value * self.weight


def term(value: Tensor, weight: Weight, update: int, *, of_output: bool = True) -> Term:
    """A loss with the weight it has after `update` updates of the autoencoder."""
    decays = isinstance(weight, DecayingWeight)
    return Term(value, weight_at(weight, update), of_output, decays)


class Objective(nn.Module):
    """Distances of decoded from real audio, and what the bottleneck reports.

    Args:
        distances: name → (weight, loss of decoded and reals (batch, channels, samples)).
        bottleneck: name in the bottleneck's info → weight.
    """

    def __init__(
        self, distances: Mapping[str, tuple[Weight, Loss]], bottleneck: Mapping[str, Weight]
    ) -> None:
        super().__init__()
        self.distances = dict(distances)
        self.bottleneck = dict(bottleneck)
        # Modules among the losses hold windows and filters that have to follow the device.
        self.modules_of_losses = nn.ModuleList(
            loss for _, loss in self.distances.values() if isinstance(loss, nn.Module)
        )

    def forward(
        self, decoded: Tensor, reals: Tensor, info: Mapping[str, Any], update: int = 0
    ) -> dict[str, Term]:
        """A term for each loss; `update` counts the updates of the autoencoder before this one."""
        terms = {
            name: term(loss(decoded, reals), weight, update)
            for name, (weight, loss) in self.distances.items()
        }
        for name, weight in self.bottleneck.items():
            if name in info:
                terms[name] = term(info[name], weight, update, of_output=False)
        return terms
