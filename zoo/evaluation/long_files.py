"""The metrics of files of any length."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from zoo.data.files import probe, read_blocks
from zoo.evaluation.metrics import Metrics, measure

_SECONDS = 60


def measure_files(estimate: str | Path, reference: str | Path) -> Metrics:
    """All metrics of one file; of one longer than a minute, the means over its minutes.

    Raises:
        AudioError: as `zoo.read_audio` and `measure`.
    """
    info = probe(reference)
    block = _SECONDS * info.sample_rate
    totals, samples = [0.0, 0.0, 0.0], 0
    for given, wanted in zip(
        read_blocks(estimate, block), read_blocks(reference, block), strict=True
    ):
        length = wanted.shape[-1]
        values = astuple(measure(given, wanted, info.sample_rate))
        totals = [total + length * value for total, value in zip(totals, values, strict=True)]
        samples += length
    return Metrics(*(total / samples for total in totals))
