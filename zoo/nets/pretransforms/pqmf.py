"""A cosine-modulated filter bank: audio in bands of equal width."""

from __future__ import annotations

import math

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span


class PQMFPretransform(Pretransform):
    """Pseudo quadrature mirror filters: near-perfect reconstruction, without delay.

    Each frame's filters lie symmetrically about its `num_bands` samples. At the ends of a signal
    filters reach beyond it, so the audio there is weighted such that analysis and synthesis
    together stay an identity; elsewhere the weights are those of a plain filter bank.

    Args:
        attenuation: how far the other bands are damped, in dB. At 100 the reconstruction error
            lies more than 60 dB below the audio.
        num_bands: bands, any number from 1.
        channels: audio channels.

    Source: Lin & Vaidyanathan 1998 (a Kaiser window's cutoff, searched for the least error).
    """

    filters: Tensor
    edges: Tensor

    def __init__(self, attenuation: float = 100, num_bands: int = 16, channels: int = 1) -> None:
        super().__init__(io_channels=channels)
        self.num_bands = self.downsampling_ratio = num_bands
        self.encoded_channels = channels * num_bands
        self._bank = modulated(prototype(attenuation, num_bands), num_bands)
        taps = self._bank.shape[-1]
        self.overhang = (taps - num_bands) // 2
        # Blocks of `num_bands` samples that miss a frame which lies beyond an end.
        self.edge_blocks = blocks = -(-self.overhang // num_bands)
        start = self._weights(blocks, range(2 * blocks + 1))
        end = self._weights(blocks, range(-blocks - 1, blocks))
        filters = torch.tensor(self._bank[:, None], dtype=torch.float32)
        # Neither is saved: both follow from the parameters.
        self.register_buffer("filters", filters, persistent=False)
        edges = torch.tensor(np.stack([start, end]), dtype=torch.float32)
        self.register_buffer("edges", edges, persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, channels · num_bands, ⌈samples / num_bands⌉)."""
        x = self._weighted(F.pad(x, (0, -x.shape[-1] % self.num_bands)))
        one_by_one = rearrange(x, "b c l -> (b c) 1 l")
        bands = F.conv1d(one_by_one, self.filters, stride=self.num_bands, padding=self.overhang)
        # A tone keeps its level in its band.
        return rearrange(bands / math.sqrt(self.num_bands), "(b c) n l -> b (c n) l", b=len(x))

    def decode(self, z: Tensor) -> Tensor:
        """(batch, channels · num_bands, frames) → (batch, channels, frames · num_bands)."""
        bands = rearrange(z * math.sqrt(self.num_bands), "b (c n) l -> (b c) n l", n=self.num_bands)
        x = F.conv_transpose1d(bands, self.filters, stride=self.num_bands, padding=self.overhang)
        return self._weighted(rearrange(x, "(b c) 1 l -> b c l", b=len(z)))

    def encode_span(self, first: int, last: int) -> Span:
        # Twice the edge: a window is then never so short that its two edges meet.
        reach = self.overhang + 2 * self.edge_blocks * self.num_bands
        return first * self.num_bands - reach, (last + 1) * self.num_bands - 1 + reach

    def decode_span(self, first: int, last: int) -> Span:
        reach = self.overhang + 2 * self.edge_blocks * self.num_bands
        return (first - reach) // self.num_bands, (last + reach) // self.num_bands

    def _weighted(self, x: Tensor) -> Tensor:
        """Audio with its ends weighted for the frames that are missing there."""
        frames, blocks = x.shape[-1] // self.num_bands, self.edge_blocks
        if blocks == 0:
            return x
        if frames < 2 * blocks:
            weights = torch.tensor(self._weights(frames, range(frames)))
            return _apply(weights.to(x), x)
        start, middle, end = x.tensor_split([blocks * self.num_bands, -blocks * self.num_bands], -1)
        return torch.cat([_apply(self.edges[0], start), middle, _apply(self.edges[1], end)], -1)

    def _weights(self, blocks: int, frames: range) -> np.ndarray:
        """The inverse square root of synthesis after analysis, where only `frames` are there.

        It couples a sample only with those at the same place, or at the mirrored place, of
        another block.

        Returns:
            (2, num_bands, blocks, blocks): for each place in a block, weights of the samples at
            the same and at the mirrored place of all blocks.
        """
        count = self.num_bands
        margin = (blocks + len(frames) + 2) * count + self.overhang
        bank = np.pad(self._bank, ((0, 0), (margin, margin)))
        # First tap of each frame, seen from the first sample.
        starts = np.array(frames)[:, None] * count - self.overhang - margin
        weights = np.zeros((2, count, blocks, blocks))
        for place in range((count + 1) // 2):
            mirrored = count - 1 - place
            places = np.unique([place, mirrored])
            samples = (np.arange(blocks) * count + places[:, None]).reshape(-1)
            seen = bank[:, samples - starts].reshape(-1, len(samples))
            values, vectors = np.linalg.eigh(seen.T @ seen)
            root = (vectors / np.sqrt(values)) @ vectors.T
            weights[0, place], weights[0, mirrored] = (
                root[:blocks, :blocks],
                root[-blocks:, -blocks:],
            )
            if place != mirrored:
                weights[1, place] = root[:blocks, blocks:]
                weights[1, mirrored] = root[blocks:, :blocks]
        return weights


def prototype(attenuation: float, num_bands: int) -> np.ndarray:
    """The low-pass filter that all bands are made of: a sinc under a Kaiser window.

    Returns:
        (taps,), symmetric, as many taps as `num_bands` plus an even number.
    """
    taps = math.ceil((attenuation - 7.95) / 2.285 * 2 * num_bands / math.pi) + 1
    taps = num_bands + 2 * max(0, -(-(taps - num_bands) // 2))
    time = np.arange(taps) - (taps - 1) / 2
    window = np.kaiser(taps, _kaiser_beta(attenuation))
    low, high = 0.8, 1.8
    cutoffs = np.linspace(low, high, 101)
    for _ in range(5):
        errors = [_error(window, time, cutoff, num_bands) for cutoff in cutoffs]
        best, step = cutoffs[int(np.argmin(errors))], cutoffs[1] - cutoffs[0]
        cutoffs = np.linspace(best - step, best + step, 41)
    return _lowpass(window, time, best, num_bands)


def modulated(lowpass: np.ndarray, num_bands: int) -> np.ndarray:
    """The filters of all bands, (num_bands, taps): together an orthonormal filter bank."""
    time = np.arange(len(lowpass)) - (len(lowpass) - 1) / 2
    band = np.arange(num_bands)[:, None]
    angle = (2 * band + 1) * np.pi / (2 * num_bands) * time + (-1.0) ** band * np.pi / 4
    return math.sqrt(2) * lowpass * np.cos(angle)


def _lowpass(window: np.ndarray, time: np.ndarray, cutoff: float, num_bands: int) -> np.ndarray:
    lowpass = window * np.sinc(time * cutoff / (2 * num_bands))
    return lowpass / np.linalg.norm(lowpass)


def _error(window: np.ndarray, time: np.ndarray, cutoff: float, num_bands: int) -> float:
    """How far synthesis after analysis is from an identity."""
    lowpass = _lowpass(window, time, cutoff, num_bands)
    shifts = range(2 * num_bands, len(lowpass), 2 * num_bands)
    return sum(float(lowpass[:-shift] @ lowpass[shift:]) ** 2 for shift in shifts)


def _kaiser_beta(attenuation: float) -> float:
    """Source: Kaiser 1974."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def _apply(weights: Tensor, x: Tensor) -> Tensor:
    """`PQMFPretransform._weights` on (batch, channels, blocks · num_bands)."""
    blocks = x.unflatten(-1, (weights.shape[-1], -1))
    same = torch.einsum("ptu,bcup->bctp", weights[0], blocks)
    mirrored = torch.einsum("ptu,bcup->bctp", weights[1], blocks.flip(-1))
    return (same + mirrored).flatten(-2)
