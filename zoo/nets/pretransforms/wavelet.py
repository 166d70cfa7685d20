"""Biorthogonal wavelets: audio in bands of one sample for each of `2 ** levels` samples."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span

# Low-pass filters of analysis and synthesis, from the middle tap outwards; both are symmetric.
# The high-pass filters follow from them. Source: Cohen, Daubechies & Feauveau 1992.
_SPLINE = (0.7071067811865476, 0.3535533905932738)
_HALVES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "bior2.2": ((1.0606601717798212, 0.3535533905932738, -0.1767766952966369), _SPLINE),
    "bior2.4": (
        (0.9943689110435825, 0.4198446513295126, -0.1767766952966369,
         -0.06629126073623882, 0.03314563036811941),
        _SPLINE,
    ),
    "bior2.6": (
        (0.966747552403483, 0.4474660099696121, -0.16987135563661201, -0.1077232986963881,
         0.04695630968816917, 0.013810679320049757, -0.006905339660024878),
        _SPLINE,
    ),
    "bior2.8": (
        (0.9516421218971786, 0.46257144047591653, -0.16382918343409023, -0.13491307360773605,
         0.05299848189069094, 0.02891610982635418, -0.012947511862546647,
         -0.0030210861012608843, 0.0015105430506304422),
        _SPLINE,
    ),
    "bior4.4": (
        (0.8526986790088938, 0.37740285561283066, -0.11062440441843718,
         -0.023849465019556843, 0.03782845550726404),
        (0.7884856164055829, 0.41809227322161724, -0.04068941760916406, -0.06453888262869706),
    ),
    "bior6.8": (
        (0.8259229974584023, 0.4207962846098268, -0.09405920349573646, -0.07726317316720414,
         0.04973290349094079, 0.01193456527972926, -0.016990639867602342,
         -0.0019142861290887667, 0.0019088317364812906),
        (0.7589077294536541, 0.41784910915027457, -0.04036797903033992, -0.07872200106262882,
         0.014467504896790148, 0.014426282505624435),
    ),
}  # fmt: skip
WAVELETS = tuple(_HALVES)


class WaveletPretransform(Pretransform):
    """A wavelet packet of `levels` levels in which only the lowest band is split again.

    Higher bands are folded until all have one sample for every `2 ** levels` samples of audio.
    The audio is mirrored at its ends, so reconstruction is perfect for every length.

    Args:
        channels: audio channels.
        levels: how many times the lowest band is halved.
        wavelet: one of `WAVELETS`.

    Source: stable_audio_tools/models/wavelets.py.
    """

    def __init__(self, channels: int, levels: int, wavelet: str) -> None:
        super().__init__(io_channels=channels)
        self.levels = levels
        self.downsampling_ratio = 2**levels
        self.encoded_channels = channels * self.downsampling_ratio
        analysis, synthesis = _HALVES[wavelet]
        self.reach = len(analysis) - 1
        # A frame's low band lies on an even sample, its high band on the odd one behind it.
        self.encoder = _Filters(channels, self._taps(analysis, 0), self._taps(_high(synthesis), 1))
        self.decoder = _Filters(channels, self._taps(synthesis, -1), self._taps(_high(analysis), 0))

    def encode(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, encoded_channels, ⌈samples / ratio⌉)."""
        # upstream: refuses lengths that are no multiple of the ratio, and short ones.
        x = F.pad(x, (0, -x.shape[-1] % self.downsampling_ratio))
        channels = self.io_channels
        for _ in range(self.levels):
            bands, rest = self._split(x[:, :channels]), x[:, channels:]
            rest = rearrange(rest, "b (d c) (l s) -> b (d s c) l", c=channels, s=2)
            x = torch.cat([bands, rest], dim=1)
        return x

    def decode(self, z: Tensor) -> Tensor:
        """(batch, encoded_channels, frames) → (batch, channels, frames · ratio)."""
        channels = self.io_channels
        for _ in range(self.levels):
            low, rest = self._join(z[:, : 2 * channels]), z[:, 2 * channels :]
            rest = rearrange(rest, "b (d s c) l -> b (d c) (l s)", c=channels, s=2)
            z = torch.cat([low, rest], dim=1)
        return z

    def encode_span(self, first: int, last: int) -> Span:
        for _ in range(self.levels):
            first, last = 2 * first - self.reach, 2 * last + max(self.reach, 1)
        return first, last

    def decode_span(self, first: int, last: int) -> Span:
        for _ in range(self.levels):
            first, last = (first - self.reach - 1) // 2, (last + self.reach) // 2
        return first, last

    def _split(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → low, then high bands (batch, 2 · channels, samples / 2)."""
        one_by_one = rearrange(_mirrored(x, self.reach), "b c l -> (b c) 1 l")
        bands = F.conv1d(one_by_one, self.encoder.taps, stride=2)
        return rearrange(bands, "(b c) s l -> b (s c) l", c=self.io_channels)

    def _join(self, bands: Tensor) -> Tensor:
        """The inverse of `_split`."""
        samples = 2 * bands.shape[-1]
        # In the order of their middles, the bands continue a mirrored signal as a mirror too.
        ordered = rearrange(bands, "b (s c) l -> (b c) 1 (l s)", s=2)
        margin = self.reach + 1 + (self.reach + 1) % 2
        ordered = rearrange(_mirrored(ordered, margin), "b 1 (l s) -> b s l", s=2)
        x = F.conv_transpose1d(ordered, self.decoder.taps, stride=2)
        start = margin + self.reach - 1
        return rearrange(x[..., start : start + samples], "(b c) 1 l -> b c l", c=self.io_channels)

    def _taps(self, half: tuple[float, ...], offset: int) -> list[float]:
        """The whole filter, its middle `offset` behind the middle of the kernel."""
        taps = [0.0] * (2 * self.reach + 1)
        for distance, value in enumerate(half):
            taps[self.reach + offset - distance] = taps[self.reach + offset + distance] = value
        return taps


class _Filters(nn.Module):
    """A low-pass and a high-pass filter, held as upstream's convolution over all channels."""

    kernel: Tensor

    def __init__(self, channels: int, low: list[float], high: list[float]) -> None:
        super().__init__()
        pair = torch.tensor([low, high])
        kernel = torch.einsum("st,ij->sijt", pair, torch.eye(channels))
        self.register_buffer("kernel", kernel.flatten(0, 1))

    @property
    def taps(self) -> Tensor:
        """(2, 1, taps): no channel is mixed with another."""
        return self.kernel[:: len(self.kernel) // 2, :1]


def _high(half: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value if distance % 2 else -value for distance, value in enumerate(half))


def _mirrored(x: Tensor, margin: int) -> Tensor:
    """`x` with `margin` samples more at each end, mirrored at its first and last sample."""
    # Unlike F.pad, an index can mirror more than the signal holds, and is deterministic on GPUs.
    last = x.shape[-1] - 1
    index = torch.arange(-margin, last + margin + 1, device=x.device)
    # ONNX has the remainder of two tensors, not of a tensor and a length.
    index = index % torch.full_like(index, 2 * last)
    return x[..., torch.minimum(index, 2 * last - index)]
