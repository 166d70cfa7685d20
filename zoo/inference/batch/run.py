"""A batch from its inputs to its summary, through the Lightning Trainer."""

from __future__ import annotations

import logging
import os
import resource
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from zoo.data.corpus import MANIFEST
from zoo.data.messages import listed, say
from zoo.data.shards import SHARD_SUFFIX
from zoo.errors import ZooError
from zoo.inference.batch.failures import FAILURES, check_failures, write_failures
from zoo.inference.batch.jobs import Job
from zoo.inference.batch.lock import FolderLock
from zoo.inference.batch.module import BatchDataModule, BatchModule, Outcome, Start
from zoo.inference.batch.plan import Plan, make_plan
from zoo.inference.batch.progress import BatchProgress, looking
from zoo.inference.batch.shard_clips import with_clips
from zoo.inference.batch.sources import Failure, find_sources
from zoo.inference.batch.stopping import Interruption, Stop
from zoo.inference.batch.writer import Writer

# So do torch's messages begin when a loader process was killed.
_LOADER = "DataLoader worker"


@dataclass(frozen=True)
class Options:
    """How a batch runs.

    Attributes:
        batch_size: clips that are processed at a time, at most.
        workers: loader processes of each process; None: up to 8 beside a GPU; else 1, and none
            where the network needs all of one or two cores.
        verify: compare the contents of files that are done, not their times alone.
        dry_run: look at all files, and write nothing.
    """

    batch_size: int = 16
    workers: int | None = None
    verify: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Summary:
    """What a batch has done.

    Attributes:
        out: the folder.
        files, seconds: made now, and of how much audio; in a dry run, what would be.
        skipped: files that were done before.
        left: files that were not reached, as the batch was interrupted.
        failures: files of which nothing was made, with the reasons.
        wall_seconds: from the first batch to the last.
    """

    out: Path
    files: int
    seconds: float
    skipped: int
    left: int
    failures: tuple[Failure, ...]
    wall_seconds: float
    interrupted: bool = False

    @property
    def x_realtime(self) -> float:
        return self.seconds / max(self.wall_seconds, 1e-9)

    @property
    def failures_file(self) -> Path | None:
        return self.out / FAILURES if self.failures else None


def process(
    job: Job[Any],
    writer: Callable[[int], Writer[Any]],
    inputs: Sequence[Path],
    out: Path,
    options: Options,
    trainer: Trainer,
    finish: Callable[[], None] = lambda: None,
) -> Summary | None:
    """Makes what is not made yet; None in all processes but the first.

    Args:
        writer: makes that of a process, by its rank.
        trainer: one of `batch_trainer`, on the device of the job's codec.
        finish: writes the manifest; called by the first process at the end, where anything was
            made or there is none.

    Raises:
        AudioError: no such input, or nothing in it.
        CheckpointError: `out` is in use, can't take what is made, or has another failures.jsonl.
        ZooError: the disk is full, or a process was lost; what is done stays done.
    """
    rank, first = trainer.global_rank, trainer.is_global_zero
    stop, lock = Stop(), FolderLock(out, rank)
    keeper = writer(rank)
    plan: Plan | None = None
    refusal: Exception | None = None
    try:
        if first:
            try:
                plan = _planned(job, keeper, inputs, out, options, lock)
            except Exception as error:
                if _alone(trainer) or options.dry_run:
                    raise
                # The others wait to hear of it.
                refusal = error
        if plan is not None:
            if options.dry_run or (not plan.batches and _alone(trainer)):
                if not options.dry_run:
                    write_failures(out, plan.failures)
                seconds = plan.seconds
                made = Summary(out, plan.files, seconds, plan.skipped, 0, plan.failures, 0.0)
                if not options.dry_run:
                    _finished(made, finish)
                return made
        elif options.dry_run:
            return None
        told = Start(plan, refusal and _text(refusal), job.codec.fingerprint)
        module = BatchModule(job, keeper, stop)
        begin = (lambda: None) if first else lock.acquire
        data = BatchDataModule(told, job.reader, _workers(options, trainer), stop, begin)
        progress = BatchProgress(job.verb, plan)
        trainer.callbacks = [progress, Interruption(stop)]  # type: ignore[attr-defined]
        try:
            outcomes = _predicted(trainer, module, data, keeper, stop)
        except ZooError as error:
            raise refusal or error from None
        wall = time.perf_counter() - progress.begun
        if plan is None:
            return None
        summary = _summary(out, plan, outcomes, wall)
        write_failures(out, summary.failures)
        error = next((text for _, text, _ in outcomes if text), None)
        if error is not None:
            raise ZooError(f"{error}; what is done stays, and the same command goes on from there")
        _finished(summary, finish)
        return summary
    finally:
        lock.release()


def _finished(summary: Summary, finish: Callable[[], None]) -> None:
    missing = not summary.interrupted and not (summary.out / MANIFEST).exists()
    if summary.files or missing:
        finish()


# What a process tells the first one: what it did, what stopped it, whether it was asked to.
Told = tuple[Outcome, str | None, bool]


def _planned(
    job: Job[Any],
    keeper: Writer[Any],
    inputs: Sequence[Path],
    out: Path,
    options: Options,
    lock: FolderLock,
) -> Plan:
    found = find_sources(inputs, out, job.reader.suffixes)
    if SHARD_SUFFIX in job.reader.suffixes:
        found = with_clips(found)
    check_failures(out)
    if not options.dry_run:
        lock.acquire()
    plan = make_plan(
        found,
        job.reader,
        keeper,
        job.frames_at_once,
        most_clips=options.batch_size,
        similar=job.similar,
        verify=options.verify,
        progress=looking,
    )
    if plan.cut:
        say(f"taken as far as they go, though their headers promise more: {listed(plan.cut)}")
    return plan


def _predicted(
    trainer: Trainer,
    module: BatchModule,
    data: BatchDataModule,
    keeper: Writer[Any],
    stop: Stop,
) -> list[Told]:
    """What each process did; in the first process, of all."""
    lost: str | None = None
    with _quiet():
        try:
            trainer.predict(module, datamodule=data, return_predictions=False)
        except RuntimeError as error:
            if trainer.world_size == 1 and _LOADER not in str(error):
                raise
            lost = _lost(error)
    try:
        keeper.close()
    except OSError as error:
        module.give_up(error)
    told: Told = (module.outcome, stop.error and _text(stop.error), stop.asked)
    if trainer.world_size == 1:
        return [(module.outcome, told[1] or lost, stop.asked)]
    everyone: list[Any] = [None] * trainer.world_size
    if lost is None:
        try:
            dist.all_gather_object(everyone, told)
            return everyone
        except RuntimeError as error:
            lost = _lost(error)
    return [(module.outcome, told[1] or lost, stop.asked)]


def _summary(out: Path, plan: Plan, outcomes: Sequence[Told], wall: float) -> Summary:
    failures = [*plan.failures, *(each for done, _, _ in outcomes for each in done.failures)]
    made = sum(done.files for done, _, _ in outcomes)
    seconds = sum(done.seconds for done, _, _ in outcomes)
    left = plan.files - made - (len(failures) - len(plan.failures))
    interrupted = any(asked for _, _, asked in outcomes)
    return Summary(out, made, seconds, plan.skipped, left, tuple(failures), wall, interrupted)


def _alone(trainer: Trainer) -> bool:
    """Whether no other process waits for this one: Lightning has not started any yet."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return trainer.world_size == 1 or (
        isinstance(environment, LightningEnvironment)
        and not environment.creates_processes_externally
        and trainer.num_nodes == 1
    )


def _workers(options: Options, trainer: Trainer) -> int:
    if options.workers is not None:
        return options.workers
    local = max(1, trainer.world_size // trainer.num_nodes)
    cores = len(os.sched_getaffinity(0)) // local
    if trainer.strategy.root_device.type == "cpu":
        return int(cores > 2)
    return max(1, min(8, cores))


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = error.filename2 or error.filename
        return f"{name}: {error.strerror}" if name else error.strerror
    return str(error)


def _lost(error: RuntimeError) -> str:
    reason = str(error).splitlines()[0][:200]
    if _LOADER in str(error):
        return f"a process that reads files is gone ({reason}); try fewer --workers or --batch-size"
    return f"another process of this command is gone ({reason})"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's notes, and with as many open files as the system allows."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Each tensor that a loader process sends is an open file.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
