"""What is measured of files of any length, a minute at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from torch import Tensor

from zoo.data.files import probe, read_blocks
from zoo.evaluation.metrics import Metrics, measure
from zoo.evaluation.speech import pesq

BLOCK_SECONDS = 60


def measure_files(estimate: str | Path, reference: str | Path) -> Metrics:
    """All metrics of one file; of one longer than a minute, the means over its minutes.

    Raises:
        AudioError: as `zoo.read_audio` and `measure`.
    """
    rate = probe(reference).sample_rate
    totals, samples = [0.0, 0.0, 0.0], 0
    for given, wanted in _minutes(estimate, reference, rate):
        length = wanted.shape[-1]
        values = astuple(measure(given, wanted, rate))
        totals = [total + length * value for total, value in zip(totals, values, strict=True)]
        samples += length
    return Metrics(*(total / samples for total in totals))


def pesq_of_files(estimate: str | Path, reference: str | Path) -> float:
    """The mean PESQ of a file's minutes that have one; NaN where none has.

    Raises: as `measure_files` and `pesq`.
    """
    rate = probe(reference).sample_rate
    total, samples = 0.0, 0
    for given, wanted in _minutes(estimate, reference, rate):
        value = float(pesq(given[None], wanted[None], rate))
        if math.isfinite(value):
            total += wanted.shape[-1] * value
            samples += wanted.shape[-1]
    return total / samples if samples else math.nan


def _minutes(
    estimate: str | Path, reference: str | Path, rate: int
) -> Iterator[tuple[Tensor, Tensor]]:
    block = BLOCK_SECONDS * rate
    return zip(read_blocks(estimate, block), read_blocks(reference, block), strict=True)
