"""Memory for intermediate results, used again and again."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor


class Scratch:
    """Float32 tensors of any content, one for each use.

    New memory would have to be cleared page by page, which takes longer than many a product.
    """

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def take(self, use: str, *shape: int) -> Tensor:
        """The memory for `use`; what was there under this name before is overwritten."""
        size = math.prod(shape)
        if use not in self._held or self._held[use].numel() < size:
            with torch.inference_mode(False):
                self._held[use] = torch.empty(size)
        return self._held[use][:size].view(shape)


class _Own(threading.local):
    def __init__(self) -> None:
        self.scratch = Scratch()


_OWN = _Own()


def scratch(use: str, *shape: int) -> Tensor:
    """This thread's memory for `use`, until it is asked for again."""
    return _OWN.scratch.take(use, *shape)
