"""Less memory in training: activations are computed again in the backward pass."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Checkpointed(nn.Module):
    """A part of a network that keeps its inputs alone while `checkpointing` is on."""

    checkpointing = False

    def forward(self, *inputs: Any) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(self.compute, *inputs, use_reentrant=False))
        return self.compute(*inputs)

    def compute(self, *inputs: Any) -> Tensor:
        """What the part makes of its inputs."""
        raise NotImplementedError


def set_checkpointing(network: nn.Module, on: bool) -> None:
    """Recompute residual units and transformer blocks in the backward pass, or keep them."""
    for module in network.modules():
        if isinstance(module, Checkpointed):
            module.checkpointing = on
