"""The progress bar of a batch, over all processes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, track

from zoo.data.messages import tell
from zoo.inference.batch.module import Step
from zoo.inference.batch.plan import Plan

_LINE_SECONDS = 30.0
# How far back the time left looks.
_SPEED_SECONDS = 120.0
T = TypeVar("T")


class BatchProgress(Callback):
    """Files, × realtime and time left; a line now and then where no terminal is.

    Args:
        verb: what is done to files.
        plan: of the first process, which shows the bar.
    """

    def __init__(self, verb: str, plan: Plan | None) -> None:
        self.verb = verb
        self.plan = plan
        self.files = 0
        self.seconds = 0.0
        self._bar: Progress | None = None
        self._task: Any = None
        self.begun = self._told = time.perf_counter()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begun = self._told = time.perf_counter()
        console = Console(stderr=True)
        if self.plan is None or not console.is_terminal:
            return
        self._bar = bar = Progress(
            TextColumn(self.verb),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=_SPEED_SECONDS,
        )
        # By length, as a long file is not done as fast as a short one; and not by length alone.
        total = self.plan.seconds + self.plan.files
        self._task = bar.add_task("", total=total, facts=self._facts())
        bar.start()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(outputs, Step)
        self.files, self.seconds = _over_all(outputs, self.files, self.seconds)
        now = time.perf_counter()
        if self._bar is not None:
            done = self.seconds + self.files
            self._bar.update(self._task, completed=done, facts=self._facts())
        elif self.plan is not None and now - self._told > _LINE_SECONDS:
            self._told = now
            tell(f"zoo: {self.verb} {self._facts()}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _facts(self) -> str:
        assert self.plan is not None
        pace = self.seconds / max(time.perf_counter() - self.begun, 1e-9)
        return f"{self.files:,}/{self.plan.files:,} files {pace:.1f}x realtime"


def looking(items: Sequence[T]) -> Iterable[T]:
    """A bar for the look at all files, before anything is made."""
    console = Console(stderr=True)
    return track(
        items, "looking at files", console=console, transient=True, disable=not console.is_terminal
    )


def _over_all(step: Step, files: int, seconds: float) -> tuple[int, float]:
    """The sums over all processes, which need not wait for each other."""
    if not (dist.is_available() and dist.is_initialized()):
        return files + step.files, seconds + step.seconds
    store: Any = dist.distributed_c10d._get_default_store()
    milliseconds = store.add("zoo/milliseconds", round(1000 * step.seconds))
    return store.add("zoo/files", step.files), milliseconds / 1000
