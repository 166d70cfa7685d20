"""The size of a network's gradient."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


def gradient_norm(network: nn.Module) -> Tensor:
    """The Euclidean norm of the gradient of all weights, a scalar on their device."""
    return nn.utils.get_total_norm([w.grad for w in network.parameters() if w.grad is not None])


def clip_gradients(
    network: nn.Module, norm: Tensor, limit: float | None, algorithm: Literal["norm", "value"]
) -> None:
    """Scales the gradient down to the norm `limit`, or cuts each of its values off there.

    Args:
        norm: what `gradient_norm` gave.
        limit: None or 0: nothing is done.
    """
    if not limit:
        return
    if algorithm == "norm":
        nn.utils.clip_grads_with_norm_(network.parameters(), limit, norm)
    else:
        nn.utils.clip_grad_value_(network.parameters(), limit)
