"""Rows that lie one behind the other without being copied together."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Window:
    """Some (batch, rows, channels), joined; at least one, and of the same batch and channels."""

    def __init__(self, pieces: Iterable[Tensor]) -> None:
        self.pieces = [piece for piece in pieces if piece.shape[1]]
        self.batch = self.pieces[0].shape[0]
        self.length = sum(piece.shape[1] for piece in self.pieces)

    def rows(self, item: int, first: int, last: int) -> list[Tensor]:
        """Rows `first` to `last`, exclusive, of one item, in parts (rows, channels)."""
        found: list[Tensor] = []
        start = 0
        for piece in self.pieces:
            end = start + piece.shape[1]
            if first < end and last > start:
                found.append(piece[item, max(0, first - start) : last - start])
            start = end
        return found

    def rest(self, first: int) -> Tensor | None:
        """All rows from `first` on, as a copy, so that the pieces can be freed."""
        if first >= self.length:
            return None
        batch = range(self.batch)
        return torch.stack([joined_rows(self.rows(item, first, self.length)) for item in batch])


def joined_rows(parts: list[Tensor]) -> Tensor:
    """Parts (rows, channels) in one; a copy only where there are several."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)
