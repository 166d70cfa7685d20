"""Losses that share the gradient at the decoder's output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nets.precision import wide, widened
from zoo.training.objective import Term
from zoo.training.ranks import mean_over_ranks

_EPS = 1e-12


class Balancer(nn.Module):
    """Scales each loss's gradient at the output to its share of a fixed norm.

    The shares are the weights over their sum; the norm that a gradient is divided by is a running
    one, free of its start's bias. Losses that reach the model by other ways keep their weights.

    Args:
        total_norm: What is shared out.
        decay: Of the running norms.
        per_item: Whether a norm is the mean of those of the batch's items, or of the whole batch.
        batches: How many of them make an update, which takes the mean of their gradients. One
            batch as large as all would give the same.

    Source: Défossez et al., arXiv 2210.13438, section 3.4.
    """

    def __init__(
        self,
        total_norm: float = 1.0,
        decay: float = 0.999,
        *,
        per_item: bool = True,
        batches: int = 1,
    ) -> None:
        super().__init__()
        self.total_norm = total_norm * (batches if per_item else batches**0.5)
        self.decay = decay
        self.per_item = per_item
        # Name → the decayed sum of norms, and that of ones.
        self._sums: dict[str, Tensor] = {}

    def forward(self, losses: Mapping[str, Term], output: Tensor) -> Tensor:
        """A scalar whose gradient is the balanced one; its value means nothing.

        Args:
            losses: Those `of_output` are balanced.
            output: (batch, channels, samples) that those losses were computed from.
        """
        balanced = {name: t for name, t in losses.items() if t.of_output and t.weight > 0}
        rest = [t.weighted for t in losses.values() if not t.of_output]
        whole = sum(t.weight for t in balanced.values())
        mixture = torch.zeros_like(output, dtype=wide(output.dtype))
        for name, loss in balanced.items():
            (gradient,) = torch.autograd.grad(loss.value, output, retain_graph=True)
            gradient = widened(gradient)
            scale = self.total_norm * loss.weight / whole
            mixture += (
                scale / (_EPS + self._running(name, self._norm(gradient, loss.value))) * gradient
            )
        return torch.stack([(widened(output) * mixture).sum(), *rest]).sum()

    def _norm(self, gradient: Tensor, value: Tensor) -> Tensor:
        flat = gradient.flatten(1) if self.per_item else gradient.reshape(1, -1)
        # A loss may be NaN where its gradient is 0.
        norm = torch.linalg.vector_norm(flat, dim=1).mean() + 0 * widened(value.detach())
        return mean_over_ranks({"": norm})[""]

    def _running(self, name: str, norm: Tensor) -> Tensor:
        before = self._sums[name].to(norm) if name in self._sums else torch.zeros(2).to(norm)
        # A norm that is not finite would stay in the sum for good.
        pair = torch.stack([norm, torch.ones_like(norm)]) + self.decay * before
        pair = pair.where(norm.isfinite(), before)
        self._sums[name] = pair
        return pair[0] / pair[1]

    def get_extra_state(self) -> dict[str, Tensor]:
        return dict(self._sums)

    def set_extra_state(self, state: Any) -> None:
        self._sums = dict(state)
