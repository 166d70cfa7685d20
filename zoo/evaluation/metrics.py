"""Objective distances between a reconstruction and its reference.

The definitions are those of descript-audio-codec's published tables, so that figures can be
compared. All take (batch, channels, samples) twice and give one value per item; all channels of an
item count alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from zoo.errors import AudioError
from zoo.nets.precision import without_autocast
from zoo.nets.spectrogram import STFT, magnitude, mel_filterbank

MEL_WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)
MEL_BANDS = (5, 10, 20, 40, 80, 160, 320)
STFT_WINDOWS = (2048, 512)
MAX_SI_SDR_DB = 100.0
_FLOOR = 1e-5


@dataclass(frozen=True)
class Metrics:
    """Averages over the items of a batch.

    Attributes:
        si_sdr_db: Scale-invariant signal-to-distortion ratio in dB, within ±100; higher is better.
        mel: `mel_distance`; lower is better.
        stft: `stft_distance`; lower is better.
    """

    si_sdr_db: float
    mel: float
    stft: float


@torch.no_grad()
def measure(estimate: Tensor, reference: Tensor, sample_rate: int) -> Metrics:
    """All metrics of one signal (channels, samples) or of a batch of them.

    Args:
        estimate: Reconstruction.
        reference: What it should be, of the same shape.
        sample_rate: Hz. Published figures are for 44,100: resample first to compare with them.

    Raises:
        AudioError: If the shapes differ, or there is nothing to measure.
    """
    if estimate.ndim == 2 and reference.ndim == 2:
        estimate, reference = estimate[None], reference[None]
    return Metrics(
        si_sdr_db=si_sdr(estimate, reference).mean().item(),
        mel=mel_distance(estimate, reference, sample_rate).mean().item(),
        stft=stft_distance(estimate, reference).mean().item(),
    )


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, (batch,), computed in float64.

    Power of the reference's projection in the estimate over power of the rest, all channels of an
    item as one vector, its mean taken off. Limited to ±100 dB, so never infinite. A silent (or
    constant) reference has no ratio: it counts +100 where the estimate is silent too, else -100, as
    does a silent estimate of a sound.

    Raises:
        AudioError: If the shapes differ, or there is nothing to measure.

    Source: Le Roux et al., arXiv 1811.02508; dac `nn/loss.py` `SISDRLoss`.
    """
    _check(estimate, reference)
    x, x_is_silent = _centred(estimate)
    y, y_is_silent = _centred(reference)
    y_power = y.square().sum(1, keepdim=True).where(~y_is_silent[:, None], 1.0)
    target = (x * y).sum(1, keepdim=True) / y_power * y
    signal, noise = target.square().sum(1), (x - target).square().sum(1)
    least = 10 ** (-MAX_SI_SDR_DB / 10)
    # Neither power counts as less than a 1e-10th of the other, which limits the ratio.
    ratio = torch.maximum(signal, least * noise) / torch.maximum(noise, least * signal)
    decibels = 10 * ratio.where(~(x_is_silent | y_is_silent), 1.0).log10()
    decibels = decibels.where(~(x_is_silent ^ y_is_silent), -MAX_SI_SDR_DB)
    return decibels.where(~(x_is_silent & y_is_silent), MAX_SI_SDR_DB)


def mel_distance(estimate: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    """Mean |difference| of log10 mel magnitudes, summed over seven resolutions: (batch,).

    Windows of 32 … 2048 samples with 5 … 320 bands, hops of a quarter window; magnitudes are at
    least 1e-5, so silence equals silence.

    Args:
        estimate: Reconstruction.
        reference: What it should be.
        sample_rate: Hz.

    Raises:
        AudioError: If the shapes differ, or there is nothing to measure.

    Source: Kumar et al., arXiv 2306.06546, section 3.5; dac `MelSpectrogramLoss` as set in
        `conf/base.yml` (not its defaults, which `scripts/evaluate.py` takes when it is run without
        them).
    """
    _check(estimate, reference)
    distance = torch.zeros(len(reference), device=reference.device)
    with without_autocast(reference):
        for window, bands in zip(MEL_WINDOWS, MEL_BANDS, strict=True):
            transform = _transform(window, reference.device)
            filters = mel_filterbank(sample_rate, window, bands).to(reference.device)
            x, y = (magnitude(transform(z)) for z in (estimate, reference))
            x, y = (filters.to(z.dtype) @ z for z in (x, y))
            distance = distance + _log_distance(x, y)
    return distance


def stft_distance(estimate: Tensor, reference: Tensor) -> Tensor:
    """Mean |difference| of magnitudes plus that of log10 powers, over two resolutions: (batch,).

    Windows of 2048 and 512 samples, hops of a quarter window, summed; in the logarithm, magnitudes
    are at least 1e-5.

    Raises:
        AudioError: If the shapes differ, or there is nothing to measure.

    Source: Kumar et al., arXiv 2306.06546; dac `MultiScaleSTFTLoss` as set in `conf/base.yml`.
    """
    _check(estimate, reference)
    distance = torch.zeros(len(reference), device=reference.device)
    for window in STFT_WINDOWS:
        transform = _transform(window, reference.device)
        x, y = (magnitude(transform(z)) for z in (estimate, reference))
        distance = distance + 2 * _log_distance(x, y) + (x - y).abs().mean((1, 2, 3))
    return distance


def _check(estimate: Tensor, reference: Tensor) -> None:
    if estimate.shape != reference.shape:
        raise AudioError(
            f"the estimate has the shape {tuple(estimate.shape)} and the reference "
            f"{tuple(reference.shape)}: trim or pad one of them, so that both are equal"
        )
    if reference.ndim != 3 or reference.numel() == 0:
        raise AudioError(
            f"nothing to measure in a tensor of shape {tuple(reference.shape)}: "
            "(batch, channels, samples) is needed, none of them 0"
        )


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """(batch, channels × samples) less its mean, and which items are silent but for rounding."""
    x = x.double().flatten(1)
    centred = x - x.mean(1, keepdim=True)
    return centred, centred.square().sum(1) <= 1e-24 * x.square().sum(1)


def _log_distance(x: Tensor, y: Tensor) -> Tensor:
    return (x.clamp(min=_FLOOR).log10() - y.clamp(min=_FLOOR).log10()).abs().mean((1, 2, 3))


@lru_cache(maxsize=64)
def _transform(window: int, device: torch.device) -> STFT:
    return STFT(window, window // 4, window).to(device)
