"""Which updates are made: those whose loss and gradient are finite."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from zoo.config.guard import GuardConfig
from zoo.data.messages import say
from zoo.training.ranks import rank_and_world

_EVERY = 100


class Guard:
    """Counts what it leaves out. All processes decide the same.

    Attributes:
        config: when to go back to an older state, and how slowly to go on from there.
        skipped: updates left out in all.
        in_a_row: network → updates left out since its last one.
        factor: of the learning rates.
        rollbacks: how often in a row the same state has been gone back to.
    """

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.skipped = 0
        self.in_a_row: dict[str, int] = {}
        self.factor = 1.0
        self.rollbacks = 0

    def admits(self, name: str, loss: Tensor, norm: Tensor, scaler: Any = None) -> bool:
        """Whether a network may be updated. Reads two numbers from the device.

        Args:
            loss: of the network, a scalar.
            norm: of its gradient.
            scaler: of the losses in float16, which overflow until it has found its scale.
        """
        finite = torch.stack([loss.detach().isfinite(), norm.isfinite()]).int()
        if rank_and_world()[1] > 1:
            dist.all_reduce(finite, dist.ReduceOp.MIN)
        loss_is_finite, norm_is_finite = finite.tolist()
        if loss_is_finite and norm_is_finite:
            self.in_a_row[name] = 0
            return True
        if not (loss_is_finite and scaler is not None and scaler.get_scale() > 1):
            self._count(name, "gradient" if loss_is_finite else "loss")
        return False

    def _count(self, name: str, what: str) -> None:
        self.in_a_row[name] = self.in_a_row.get(name, 0) + 1
        self.skipped += 1
        if self.skipped in (1, 10) or self.skipped % _EVERY == 0:
            say(
                f"left out an update of the {name}, whose {what} is not finite; "
                f"{self.skipped} so far"
            )

    @property
    def is_skipping(self) -> bool:
        """Whether the last update of any network was left out."""
        return any(self.in_a_row.values())

    @property
    def gives_up(self) -> bool:
        """Whether so many were left out that going on leads nowhere."""
        return max(self.in_a_row.values(), default=0) >= self.config.max_skips

    def slow_down(self) -> None:
        """From an older state, with a lower learning rate."""
        self.in_a_row.clear()
        self.rollbacks += 1
        self.factor *= self.config.lower_rate

    def begin_anew(self) -> None:
        """All tries are open again; the learning rate stays where it is."""
        self.in_a_row.clear()
        self.rollbacks = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "skipped": self.skipped,
            "in_a_row": dict(self.in_a_row),
            "factor": self.factor,
            "rollbacks": self.rollbacks,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.skipped, self.in_a_row = state["skipped"], dict(state["in_a_row"])
        self.factor, self.rollbacks = state["factor"], state["rollbacks"]
