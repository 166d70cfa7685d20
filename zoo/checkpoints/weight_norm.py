"""The three ways to write a weight-normalised kernel.

Source: torch, nn/utils/weight_norm.py and nn/utils/parametrizations.py (names).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

_NEW = {".parametrizations.weight.original0": ".weight_g"}
_NEW[".parametrizations.weight.original1"] = ".weight_v"


def fitted(weights: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """`weights` with the kernels written as the keys in `wanted` have them.

    `weight_g` and `weight_v`, torch's newer `parametrizations.weight.original0` and `1`, and a
    folded `weight` become each other.
    """
    named: dict[str, Tensor] = {}
    for key, value in weights.items():
        for new, old in _NEW.items():
            if key not in wanted and key.endswith(new):
                key = key.removesuffix(new) + old
        named[key] = value
    for key in list(named):
        stem, _, last = key.rpartition(".")
        g, v, folded = f"{stem}.weight_g", f"{stem}.weight_v", f"{stem}.weight"
        if last == "weight" and key not in wanted and g in wanted:
            named[g], named[v] = _parts(named.pop(key))
        elif last == "weight_g" and key not in wanted and folded in wanted and v in named:
            named[folded] = torch._weight_norm(named.pop(v), named.pop(g), 0)  # pyright: ignore
    return named


def _parts(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Norms over all axes but the first, and directions."""
    exact = weight.float()
    norm = torch.linalg.vector_norm(exact, dim=tuple(range(1, exact.ndim)), keepdim=True)
    # A kernel of zeros has no direction: any will do.
    return norm, torch.where(norm == 0, torch.ones_like(exact), exact)
