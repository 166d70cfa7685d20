"""Networks that training uses, but neither changes nor saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from torch import Tensor, nn


class Frozen(nn.Module):
    """Holds a network in eval mode that moves with its owner and is not in its state dict.

    Gradients flow through it, not into its weights.

    Args:
        network: its weights no longer require gradients.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a tuple, since a plain attribute would make it a submodule.
        self._held = (network.eval().requires_grad_(False),)

    @property
    def network(self) -> Any:
        return self._held[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.network._apply(fn, recurse)
        return super()._apply(fn, recurse)
