"""The best checkpoints of a run by a validation metric."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from zoo.checkpoints.files import BEST


@dataclass(frozen=True)
class Kept:
    """A checkpoint in the folder, and what its name says."""

    step: int
    value: float
    path: Path


class BestCheckpoints(Checkpoint):
    """After each validation, keeps the best checkpoints, and the name `best.ckpt` for the first.

    The list is the folder itself, since names carry step and value: whatever `last.ckpt` knew
    when a run was killed, the resumed one goes on with the files that are there. A file is removed
    only after a better one is whole.

    Args:
        folder: gets `step-001000_val-mel_0.83.ckpt`; files of other metrics are left alone.
        monitor: name of the metric.
        mode: whether its lowest or its highest values are best.
        keep: how many.
    """

    def __init__(
        self, folder: Path, monitor: str, mode: Literal["min", "max"], keep: int = 1
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.mode = mode
        self.keep = keep
        self._metric = monitor.replace("/", "-")
        self._name = re.compile(rf"step-(\d+)_{re.escape(self._metric)}_(\S+)\.ckpt")

    def ranked(self) -> list[Kept]:
        """What the folder has, the best first; of equals the older."""
        found: list[Kept] = []
        for path in self.folder.glob("step-*.ckpt"):
            name = self._name.fullmatch(path.name)
            with contextlib.suppress(ValueError):
                found += [Kept(int(name[1]), float(name[2]), path)] if name else []
        return sorted(found, key=self._order)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            # Of a run that was killed while it wrote.
            for part in self.folder.glob(".*.part"):
                part.unlink(missing_ok=True)
            self._tidy(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = float(trainer.callback_metrics.get(self.monitor, math.nan))
        if trainer.sanity_checking or not math.isfinite(value):
            return
        new = self._candidate(trainer.global_step, value)
        # Only the first process looks into the folder.
        if not trainer.strategy.broadcast(new in self._best_with(new)):
            return
        trainer.save_checkpoint(new.path)
        if trainer.is_global_zero:
            self._tidy(trainer)

    def _candidate(self, step: int, value: float) -> Kept:
        text = f"{value:.6g}"
        path = self.folder / f"step-{step:06d}_{self._metric}_{text}.ckpt"
        # As the next look into the folder will find it.
        return Kept(step, float(text), path)

    def _best_with(self, new: Kept) -> list[Kept]:
        return sorted({*self.ranked(), new}, key=self._order)[: self.keep]

    def _order(self, kept: Kept) -> tuple[float, int]:
        return (kept.value if self.mode == "min" else -kept.value), kept.step

    def _tidy(self, trainer: Trainer) -> None:
        ranked = self.ranked()
        if ranked:
            _name_also(ranked[0].path, self.folder / BEST.name)
        for kept in ranked[self.keep :]:
            trainer.strategy.remove_checkpoint(kept.path)


def _name_also(path: Path, name: Path) -> None:
    """`name` becomes a second name of the same file; a copy where the disk has no such thing."""
    if name.exists() and name.samefile(path):
        return
    part = name.with_name(f".{name.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)
    except OSError:
        shutil.copyfile(path, part)
    part.replace(name)
