"""Activations computed again in the backward pass instead of being kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Checkpointed(nn.Module):
    """A part of a network that may trade time for memory; off unless `set_checkpointing`."""

    checkpointing = False

    def recomputed(self, function: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """`function(*inputs)`, whose activations are kept only without `checkpointing`."""
        if self.checkpointing and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(function, *inputs, use_reentrant=False))
        return function(*inputs)


def set_checkpointing(network: nn.Module, on: bool) -> None:
    """Recompute residual units and transformer blocks in the backward pass, or keep them."""
    for module in network.modules():
        if isinstance(module, Checkpointed):
            module.checkpointing = on
