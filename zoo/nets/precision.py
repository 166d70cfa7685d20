"""Computed in float32 whatever the precision around it, and in float64 where that is float64."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import torch
from torch import Tensor, nn


def wide(dtype: torch.dtype) -> torch.dtype:
    """float32, or float64 for itself."""
    return torch.promote_types(dtype, torch.float32)


def widened(x: Tensor) -> Tensor:
    """`x` in float32, or as it is in float64."""
    return x.to(wide(x.dtype))


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A context in which operations on the device of `x` keep the precision of their inputs."""
    kind = x.device.type
    if not torch.amp.autocast_mode.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


class Float32Buffers(nn.Module):
    """A module whose own buffers follow it to other devices, but not to other precisions.

    A cast to half precision and back would cost a window eight bits for good.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        exact = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, buffer in exact.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None and moved.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(moved.device)
        return self
