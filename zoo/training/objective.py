"""The weighted sum of reconstruction and bottleneck losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Term:
    """One loss and its weight."""

    value: Tensor
    weight: float

    @property
    def weighted(self) -> Tensor:
        return self.value * self.weight


class Objective(nn.Module):
    """Distances of decoded from real audio, and what the bottleneck reports.

    Args:
        distances: name → (weight, loss of decoded and reals (batch, channels, samples)).
        bottleneck: name in the bottleneck's info → weight.
    """

    def __init__(
        self, distances: Mapping[str, tuple[float, Loss]], bottleneck: Mapping[str, float]
    ) -> None:
        super().__init__()
        self.distances = dict(distances)
        self.bottleneck = dict(bottleneck)
        # Modules among the losses hold windows and filters that have to follow the device.
        self.modules_of_losses = nn.ModuleList(
            loss for _, loss in self.distances.values() if isinstance(loss, nn.Module)
        )

    def forward(self, decoded: Tensor, reals: Tensor, info: Mapping[str, Any]) -> dict[str, Term]:
        """A term for each loss."""
        terms = {
            name: Term(loss(decoded, reals), weight)
            for name, (weight, loss) in self.distances.items()
        }
        for name, weight in self.bottleneck.items():
            if name in info:
                terms[name] = Term(info[name], weight)
        return terms
