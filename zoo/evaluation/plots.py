"""Pictures of spectrograms and latents, drawn without a display or global state."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import AudioError
from zoo.evaluation.latents import LatentStatistics
from zoo.nets.spectrogram import STFT, hz_to_mel, magnitude, mel_filterbank
from zoo.writing import write_whole

RANGE_DB = 80.0
_BANDS = 160
_COLUMNS = 1600
_COMPONENTS = 3
_OF_INPUT = "Level (dB relative to the loudest point of the input)"
_OF_ROW = "Level (dB relative to the loudest point of the row)"
_TICKS_HZ = (200, 500, 1000, 2000, 5000, 10000, 20000, 50000)


@torch.no_grad()
def spectrogram_figure(
    reference: Tensor, estimate: Tensor, sample_rate: int, *, title: str = ""
) -> Figure:
    """Mel spectrograms of input (above) and reconstruction, in dB on one colour scale.

    0 dB is the loudest point of the input; channels are averaged in power.

    Args:
        reference: Input (channels, samples).
        estimate: Reconstruction of the same shape.
        sample_rate: Hz.
        title: Line above the picture.

    Raises:
        AudioError: If the shapes differ, or there is nothing to draw.
    """
    if reference.shape != estimate.shape or reference.ndim != 2 or reference.numel() == 0:
        raise AudioError(
            f"cannot draw an input of shape {tuple(reference.shape)} above a reconstruction of "
            f"shape {tuple(estimate.shape)}: both must be (channels, samples), equal and not empty"
        )
    powers = [_mel_power(signal, sample_rate) for signal in (reference, estimate)]
    # A silent input is drawn against full scale.
    peak = float(powers[0].max()) or 1.0
    rows = {"Input": powers[0] / peak, "Reconstruction": powers[1] / peak}
    figure = _stacked(rows, sample_rate, reference.shape[-1] / sample_rate, _OF_INPUT)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


@torch.no_grad()
def sensitivity_figure(
    estimate: Tensor, gradients: Mapping[str, Tensor], sample_rate: int
) -> Figure:
    """Mel spectrograms of a reconstruction and of gradients with respect to it.

    Each row is in dB relative to its own loudest point: where and at which frequency a change of
    the reconstruction would change that loss most.

    Args:
        estimate: Reconstruction (channels, samples).
        gradients: Name of a loss → its gradient (channels, samples).
        sample_rate: Hz.
    """
    signals = {"Reconstruction": estimate}
    signals |= {f"Gradient of {name}": gradient for name, gradient in gradients.items()}
    powers: dict[str, NDArray[np.float32]] = {}
    for name, signal in signals.items():
        # Gradients are far smaller than any floor.
        loudest = float(signal.abs().max()) or 1.0
        power = _mel_power(signal / loudest, sample_rate)
        powers[name] = power / (float(power.max()) or 1.0)
    return _stacked(powers, sample_rate, estimate.shape[-1] / sample_rate, _OF_ROW)


def _stacked(
    powers: Mapping[str, NDArray[np.float32]], sample_rate: int, seconds: float, label: str
) -> Figure:
    """Powers (bands, columns), 1 being 0 dB, below each other on one scale."""
    figure = Figure(figsize=(10, 3 * len(powers)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(powers), 1, sharex=True, sharey=True)
    image = None
    for axes, (name, power) in zip(rows, powers.items(), strict=True):
        image = axes.imshow(
            10 * np.log10(np.maximum(power, 10 ** (-RANGE_DB / 10))),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=-RANGE_DB,
            vmax=0.0,
            extent=(0.0, seconds, 0.0, 1.0),
        )
        axes.set_title(name, loc="left", fontsize=11)
        axes.set_ylabel("Frequency (Hz)")
        positions, labels = _ticks(sample_rate)
        axes.set_yticks(positions, labels)
    rows[-1].set_xlabel("Time (s)")
    assert image is not None
    bar = figure.colorbar(image, ax=rows, pad=0.01, fraction=0.05)
    bar.set_label(label)
    return figure


@torch.no_grad()
def latents_figure(statistics: LatentStatistics, latents: Tensor, seconds: float) -> Figure:
    """Explained variance of the principal components, and the first three of one clip over time.

    Args:
        statistics: Of many clips.
        latents: Of one clip (latent, frames).
        seconds: Length of that clip.
    """
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    variances = statistics.variances.numpy()
    share = variances / (variances.sum() or 1.0)
    numbers = np.arange(1, len(share) + 1)
    left.bar(numbers, share, width=1.0, label="each")
    left.step(numbers, np.cumsum(share), where="mid", color="black", label="sum so far")
    left.set_ylim(0, 1.02)
    left.set_xlabel("Principal component")
    left.set_ylabel("Share of the variance")
    left.legend(loc="center right")
    tracks = statistics.project(latents.cpu(), _COMPONENTS).numpy()
    times = (np.arange(tracks.shape[1]) + 0.5) * seconds / tracks.shape[1]
    for number, track in enumerate(tracks, 1):
        right.plot(times, track, linewidth=1, label=f"component {number}")
    right.set_xlim(0, seconds)
    right.set_xlabel("Time (s)")
    right.set_ylabel("Value")
    right.legend(loc="upper right")
    return figure


def png_bytes(figure: Figure) -> bytes:
    """The picture as a PNG file's content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def write_png(figure: Figure, path: str | Path) -> Path:
    """Writes the picture, whole or not at all. Parent folders are made. Returns `path`."""
    path = Path(path)
    write_whole(path, png_bytes(figure))
    return path


def _mel_power(signal: Tensor, sample_rate: int) -> NDArray[np.float32]:
    """(channels, samples) → (bands, columns): at most 1600, each the loudest of its frames."""
    # About 46 ms; twice that per transform keeps the lowest bands apart.
    window = 2 ** max(5, round(np.log2(0.046 * sample_rate)))
    transform = STFT(2 * window, window // 4, window)
    power = magnitude(transform(signal.detach().cpu().float())).square().mean(0)
    mel = mel_filterbank(sample_rate, 2 * window, _BANDS) @ power
    if mel.shape[-1] > _COLUMNS:
        mel = F.adaptive_max_pool1d(mel, _COLUMNS)
    return mel.numpy()


def _ticks(sample_rate: int) -> tuple[list[float], list[str]]:
    """Heights (0 to 1) and labels of round frequencies on the mel axis."""
    shown = [hz for hz in _TICKS_HZ if hz < sample_rate / 2]
    mels = hz_to_mel(torch.tensor([*shown, sample_rate / 2], dtype=torch.float64))
    labels = [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in shown]
    return (mels[:-1] / mels[-1]).tolist(), labels
