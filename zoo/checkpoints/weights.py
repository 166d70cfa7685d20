"""Weights into a model, with a report for every key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from zoo.errors import CheckpointError

_SHOWN = 3


@dataclass(frozen=True)
class KeyReport:
    """How the keys of a file and of a model meet."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mis_shaped: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unexpected or self.mis_shaped)

    def __str__(self) -> str:
        kinds = ("missing", "unexpected", "mis_shaped")
        parts = [f"{len(self.matched)} keys matched"]
        for kind in kinds:
            keys: tuple[str, ...] = getattr(self, kind)
            if keys:
                shown = ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
                parts.append(f"{len(keys)} {kind.replace('_', '-')} ({shown})")
        return ", ".join(parts)


def compare(model: nn.Module, weights: Mapping[str, Tensor]) -> KeyReport:
    """The report for loading `weights` into `model`, without loading them."""
    own = model.state_dict()
    shared = [key for key in own if key in weights]
    fits = {key for key in shared if own[key].shape == weights[key].shape}
    return KeyReport(
        matched=tuple(key for key in shared if key in fits),
        missing=tuple(key for key in own if key not in weights),
        unexpected=tuple(key for key in weights if key not in own),
        mis_shaped=tuple(key for key in shared if key not in fits),
    )


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> KeyReport:
    """Copies `weights` into `model`. Raises: CheckpointError unless every key fits."""
    report = compare(model, weights)
    if not report.complete:
        raise CheckpointError(f"{source}: does not fit the model: {report}")
    model.load_state_dict(dict(weights))
    return report
