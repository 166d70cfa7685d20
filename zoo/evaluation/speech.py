"""Perceptual quality of speech, by the optional package `pesq`."""

from __future__ import annotations

import importlib.util
import math

import torch
from torch import Tensor

from zoo.config.trainer import PESQ_RATE
from zoo.data.resample import resample
from zoo.errors import AudioError, ConfigError

LONGEST_SECONDS = 20


def has_pesq() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec("pesq") is not None


def require_pesq(asked_by: str = "") -> None:
    """Raises: ConfigError where the package is missing, beginning with who asked for it."""
    if not has_pesq():
        raise ConfigError(f"{asked_by}PESQ needs the package pesq: pip install -e '.[metrics]'")


@torch.no_grad()
def pesq(estimate: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    """Wide-band PESQ of each item, 1.0 to 4.6, higher is better: (batch,), float64.

    Channels are averaged and the mean is resampled to 16 kHz. Items over 20 s, longer than what
    the standard was made for, are cut into equal pieces, of which the mean counts. NaN where PESQ
    gives no value: silence, or less than a quarter of a second.

    Args:
        estimate: Reconstruction (batch, channels, samples).
        reference: What it should be, of the same shape.
        sample_rate: Hz, at least 16,000.

    Raises:
        ConfigError: If the package is missing.
        AudioError: If the shapes differ, or the rate is lower.

    Source: ITU-T P.862.2, as the package `pesq` computes it.
    """
    require_pesq()
    if estimate.shape != reference.shape or reference.ndim != 3:
        raise AudioError(
            f"PESQ compares (batch, channels, samples) of equal shape, not "
            f"{tuple(estimate.shape)} and {tuple(reference.shape)}"
        )
    if sample_rate < PESQ_RATE:
        raise AudioError(f"wide-band PESQ needs {PESQ_RATE} Hz or more, not {sample_rate}")
    sides = [
        resample(side.float().mean(1).cpu(), sample_rate, PESQ_RATE)
        for side in (estimate, reference)
    ]
    values = [_of_clip(x, y) for x, y in zip(*sides, strict=True)]
    return torch.tensor(values, dtype=torch.float64)


def _of_clip(estimate: Tensor, reference: Tensor) -> float:
    pieces = math.ceil(len(reference) / (LONGEST_SECONDS * PESQ_RATE))
    pairs = zip(estimate.chunk(pieces), reference.chunk(pieces), strict=True)
    values = [value for pair in pairs if math.isfinite(value := _of_piece(*pair))]
    return sum(values) / len(values) if values else math.nan


def _of_piece(estimate: Tensor, reference: Tensor) -> float:
    from pesq import PesqError  # pyright: ignore[reportMissingImports]
    from pesq import pesq as of_arrays  # pyright: ignore[reportMissingImports]

    if not (estimate.any() and reference.any()):
        # The package divides by the loudest sample.
        return math.nan
    try:
        return float(of_arrays(PESQ_RATE, reference.numpy(), estimate.numpy(), "wb"))
    except (PesqError, ValueError):
        return math.nan
