"""Weights into a model, with a report for every key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from torch import Size, Tensor, nn

from zoo.checkpoints.weight_norm import fitted
from zoo.errors import CheckpointError, did_you_mean

_SHOWN = 3
_LISTED = 6


@dataclass(frozen=True)
class KeyReport:
    """How the keys of a file and of a model meet.

    Args:
        source: the file.
        layout: whose it is, in words.
        shapes: of each key of the file that the model has not, or has in another shape.
        wanted: of each key of the model that the file has not, or has in another shape.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mis_shaped: tuple[str, ...]
    source: str = ""
    layout: str = ""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    wanted: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

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

    @property
    def details(self) -> str:
        """A line for each of the first keys that do not fit, with a guess at what was meant."""
        lines = [
            *(f"mis-shaped {key}: {self.shapes[key]}, but the model has {self.wanted[key]}"
              for key in self.mis_shaped[:_LISTED]),
            *(f"unexpected {key}: {self.shapes[key]}{self._meant(key)}"
              for key in self.unexpected[:_LISTED]),
            *(f"missing {key}: {self.wanted[key]}" for key in self.missing[:_LISTED]),
        ]  # fmt: skip
        return "".join(f"\n  {line}" for line in lines)

    def _meant(self, key: str) -> str:
        shape = self.shapes[key]
        return did_you_mean(key, [name for name in self.missing if self.wanted[name] == shape])


def compare(
    model: nn.Module, weights: Mapping[str, Tensor], source: str = "", layout: str = ""
) -> KeyReport:
    """The report for loading `weights`, under the model's keys, without loading them."""
    own = model.state_dict()
    shared = [key for key in own if key in weights]
    fits = {key for key in shared if own[key].shape == weights[key].shape}
    return KeyReport(
        matched=tuple(key for key in shared if key in fits),
        missing=tuple(key for key in own if key not in weights),
        unexpected=tuple(key for key in weights if key not in own),
        mis_shaped=tuple(key for key in shared if key not in fits),
        source=source,
        layout=layout,
        shapes=_shapes({key: weights[key].shape for key in weights if key not in fits}),
        wanted=_shapes({key: own[key].shape for key in own if key not in fits}),
    )


def load_weights(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    source: str,
    *,
    partial: bool = False,
    layout: str = "",
) -> KeyReport:
    """Copies `weights` into `model`, in its own precision.

    Args:
        partial: copy what fits and leave the rest of the model as it is.

    Raises: CheckpointError unless every key fits; with `partial`, where none does. Then, the model
        is as it was.
    """
    weights = fitted(weights, _keys(model))
    report = _checked(compare(model, weights, source, layout), partial)
    model.load_state_dict({key: weights[key] for key in report.matched}, strict=report.complete)
    return report


def give_weights(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    source: str,
    *,
    layout: str = "",
) -> KeyReport:
    """As `load_weights`, for a model on the meta device, which gets `weights` as its own.

    What no file has, such as tables that are computed when a model is built, stays on the meta
    device.
    """
    own = model.state_dict()
    weights = fitted(weights, own.keys())
    report = _checked(compare(model, weights, source, layout), partial=False)
    given = {key: weights[key].to(own[key].dtype) for key in report.matched}
    model.load_state_dict(given, assign=True)
    return report


def check_weights(
    model: nn.Module, weights: Mapping[str, Tensor], source: str, *, layout: str = ""
) -> KeyReport:
    """As `load_weights`, which it leaves to others. The model may be on the meta device."""
    return _checked(compare(model, fitted(weights, _keys(model)), source, layout), partial=False)


def _checked(report: KeyReport, partial: bool) -> KeyReport:
    if report.complete or (partial and report.matched):
        return report
    hint = "to load what fits: --partial, or partial=True"
    if not report.matched:
        hint = "these are weights of another model"
    raise CheckpointError(
        f"{report.source}: does not fit the model: {report}{report.details}\n{hint}"
    )


def _keys(model: nn.Module) -> Collection[str]:
    return model.state_dict().keys()


def _shapes(given: Mapping[str, Size]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, shape in given.items()}
