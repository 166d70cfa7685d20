"""The LightningModule and the data module of a batch: loaded clips in, files out."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import torch
from lightning import LightningDataModule, LightningModule
from torch.utils.data import Dataset

from zoo.data.loading import loader
from zoo.errors import ZooError
from zoo.inference.batch.jobs import Job
from zoo.inference.batch.plan import Batch, Plan
from zoo.inference.batch.readers import MISHAPS, Loaded, Reader
from zoo.inference.batch.sources import Failure
from zoo.inference.batch.stopping import Stop, UntilStopped
from zoo.inference.batch.writer import LostError, Source, Writer

# The next file would fail as well.
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


@dataclass
class Outcome:
    """What one process has done: files, and seconds of audio in them."""

    files: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """What one batch added, failures counted."""

    files: int
    seconds: float


@dataclass(frozen=True)
class Start:
    """What the first process tells all others.

    Attributes:
        plan: None in the others, and with a refusal.
        refusal: what it found, instead of a plan.
        model: the fingerprint of its codec, which has to be that of the others.
    """

    plan: Plan | None
    refusal: str | None
    model: str


class BatchModule(LightningModule):
    """Makes and writes what a job makes of each batch. The codec is on its device already.

    Args:
        job: what is made.
        writer: what keeps it, of this process.
        stop: is told of what forbids to go on.
    """

    def __init__(self, job: Job[Any], writer: Writer[Any], stop: Stop) -> None:
        super().__init__()
        self.job = job
        self.writer = writer
        self.stop = stop
        self.outcome = Outcome()

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        # The codec does it: a clip that is read piece by piece has nothing to move.
        return batch

    def predict_step(self, batch: list[Loaded | Failure]) -> Step:
        files, seconds = 0, 0.0
        for part in batch:
            if isinstance(part, Failure):
                self.outcome.failures.append(part)
                files += 1
            else:
                self._process(part)
                files += len(part.sources)
                seconds += sum(source.seconds for source in part.sources)
        return Step(files, seconds)

    def _process(self, loaded: Loaded) -> None:
        try:
            made = self.job.make(loaded)
        except MISHAPS as error:
            if len(loaded.sources) == 1:
                self._failed(loaded.sources[0], error)
                return
            # One of them may spoil it for the others, or all be too much at a time.
            for index in range(len(loaded.sources)):
                self._process(_one(loaded, index))
            return
        for source, content in zip(loaded.sources, made, strict=True):
            self._keep(source, content)

    def _keep(self, source: Source, content: Any) -> None:
        if self.stop.error is not None:
            return
        try:
            self.writer.write(source, content)
        except MISHAPS as error:
            if _is_fatal(error):
                self.give_up(error)
            else:
                self._failed(source, error)
        else:
            self.outcome.files += 1
            self.outcome.seconds += source.seconds

    def give_up(self, error: Exception) -> None:
        """Takes no more files, and counts none that `error` lost."""
        self.stop.error = self.stop.error or error
        for source in error.sources if isinstance(error, LostError) else ():
            self.outcome.files -= 1
            self.outcome.seconds -= source.seconds

    def _failed(self, source: Source, error: Exception) -> None:
        self.outcome.failures.append(Failure.of(source, error))


class BatchDataModule(LightningDataModule):
    """Loads this process's share of a plan in worker processes.

    Args:
        start: of this process; that of the first one counts.
        reader: what the workers do.
        workers: loader processes.
        stop: ends the loading.
        begin: called once the share is known.
    """

    def __init__(
        self,
        start: Start,
        reader: Reader,
        workers: int,
        stop: Stop,
        begin: Callable[[], None],
    ) -> None:
        super().__init__()
        self.start = start
        self.reader = reader
        self.workers = workers
        self.stop = stop
        self.begin = begin
        self.share: list[Batch] = []

    def setup(self, stage: str) -> None:
        trainer = self.trainer
        assert trainer is not None
        start: Start = trainer.strategy.broadcast(self.start)
        if start.refusal is not None:
            prefix = "" if trainer.is_global_zero else "the first process has given up: "
            raise ZooError(prefix + start.refusal)
        same = start.model == self.start.model
        if not trainer.strategy.reduce_boolean_decision(same):
            raise ZooError(
                "the processes have different models; name one and the same for all with --model, "
                "without --partial"
            )
        assert start.plan is not None
        self.share = start.plan.share(trainer.global_rank, trainer.world_size)
        self.begin()

    def predict_dataloader(self) -> UntilStopped[list[Loaded | Failure]]:
        dataset = BatchDataset(self.share, self.reader)
        order = range(len(dataset))
        batches = loader(dataset, order, 1, self.workers, collate=itemgetter(0), once=True)
        return UntilStopped(batches, self.stop)


class BatchDataset(Dataset[list[Loaded | Failure]]):
    """One item is one batch, loaded."""

    def __init__(self, batches: list[Batch], reader: Reader) -> None:
        self.batches = batches
        self.reader = reader

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> list[Loaded | Failure]:
        return self.reader.load(self.batches[number])


def _one(loaded: Loaded, index: int) -> Loaded:
    """A single clip of several."""
    only = slice(index, index + 1)
    return replace(
        loaded,
        sources=loaded.sources[only],
        clips=loaded.clips[only],
        content=loaded.content and loaded.content[only],
    )


def _is_fatal(error: BaseException | None) -> bool:
    """Whether the disk refuses whatever comes next."""
    while error is not None:
        if isinstance(error, LostError):
            return True
        if isinstance(error, OSError) and error.errno in _FATAL:
            return True
        error = error.__cause__
    return False
