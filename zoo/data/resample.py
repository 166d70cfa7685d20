"""Other sample rates and channel counts."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch
from torch import Tensor
from torchaudio.transforms import Resample

from zoo.nets.streams.stream import Pointwise, Stream
from zoo.nets.streams.window import Window

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99
# torchaudio's kernel has (rates / gcd)² entries: 44056 to 44100 Hz would take a gigabyte.
_LARGEST_KERNEL = 2**22
_GATHERED_AT_ONCE = 2**21


def resample(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Changes the sample rate with a windowed sinc: 6 zero crossings, Hann, roll-off 0.99.

    The kernel is computed in float64, so float32 audio gets the numbers that
    `torchaudio.functional.resample` gives on float64; half precision is computed in float32.

    Args:
        audio: (…, samples), floating point; any length, also 0.
        from_rate: rate of `audio` in Hz.
        to_rate: rate wanted in Hz.

    Returns:
        (…, ceil(samples · to_rate / from_rate)), or `audio` itself where the rates are equal.
    """
    assert from_rate > 0 and to_rate > 0
    if from_rate == to_rate:
        return audio
    samples = resampled_length(audio.shape[-1], from_rate, to_rate)
    if audio.numel() == 0:
        return audio.new_zeros(*audio.shape[:-1], samples)
    dtype = audio.dtype if audio.dtype == torch.float64 else torch.float32
    old, new = reduced(from_rate, to_rate)
    values = audio.to(dtype).contiguous()
    if (old + 2 * reach(from_rate, to_rate)) * new <= _LARGEST_KERNEL:
        result = _kernel(old, new, audio.device, dtype)(values)
    else:
        result = _gathered(values, old, new, samples)
    return result.to(audio.dtype)


def resample_stream(from_rate: int, to_rate: int) -> Stream:
    """A new stream of `resample` over (batch, channels, samples)."""
    change = partial(resample, from_rate=from_rate, to_rate=to_rate)
    if from_rate == to_rate:
        return Pointwise(change)
    old, new = reduced(from_rate, to_rate)
    side = reach(from_rate, to_rate)

    def span(first: int, last: int) -> tuple[int, int]:
        return first * old // new - side, last * old // new + side

    return Window(change, span, step_in=old, step_out=new)


def resampled_length(samples: int, from_rate: int, to_rate: int) -> int:
    """ceil(samples · to_rate / from_rate) without rounding errors."""
    return -(-samples * to_rate // from_rate)


def reduced(from_rate: int, to_rate: int) -> tuple[int, int]:
    """Both rates divided by their greatest common divisor."""
    divisor = math.gcd(from_rate, to_rate)
    return from_rate // divisor, to_rate // divisor


def reach(from_rate: int, to_rate: int) -> int:
    """How many samples at `from_rate` on either side make up one output sample."""
    old, new = reduced(from_rate, to_rate)
    return math.ceil(_ZERO_CROSSINGS * old / (min(old, new) * _ROLLOFF)) + 1


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # Else a kernel made there would be useless for gradients.
def _kernel(old: int, new: int, device: torch.device, dtype: torch.dtype) -> Resample:
    return Resample(
        old, new, lowpass_filter_width=_ZERO_CROSSINGS, rolloff=_ROLLOFF, dtype=torch.float64
    ).to(device, dtype)


def _gathered(audio: Tensor, old: int, new: int, samples: int) -> Tensor:
    """The same sums with a table of the taps that are not zero, (new, taps)."""
    weights = _taps(old, new, audio.device, audio.dtype)
    half = weights.shape[1] // 2
    padded = torch.nn.functional.pad(audio, (half, half + 1))
    windows = padded.unfold(-1, weights.shape[1], 1)
    step = max(1, _GATHERED_AT_ONCE // weights.shape[1])
    blocks = []
    for first in range(0, samples, step):
        output = torch.arange(first, min(first + step, samples), device=audio.device)
        centre = output * old // new
        blocks.append((windows[..., centre, :] * weights[output % new]).sum(-1))
    return torch.cat(blocks, -1)


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _taps(old: int, new: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    cutoff = min(old, new) * _ROLLOFF
    half = reach(old, new)
    offset = torch.arange(-half, half + 1, dtype=torch.float64)
    # How far each output sample lies behind the input sample before it, in input samples.
    behind = (torch.arange(new) * old % new).double()[:, None] / new
    time = ((offset - behind) * (cutoff / old)).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(time * (math.pi / _ZERO_CROSSINGS / 2)) ** 2
    return (torch.sinc(time) * window * (cutoff / old)).to(device, dtype)


def fit_channels(audio: Tensor, channels: int) -> Tensor:
    """Makes (…, channels, samples) have `channels` channels.

    To mono: the mean. To fewer: the first ones. To more: the channels repeat in turn, so mono
    becomes equal channels and stereo becomes left, right, left, right…
    """
    given = audio.shape[-2]
    assert given > 0 and channels > 0
    if given == channels:
        return audio
    if channels == 1:
        return audio.mean(-2, keepdim=True)
    if given > channels:
        return audio[..., :channels, :]
    return audio[..., torch.arange(channels, device=audio.device) % given, :]
