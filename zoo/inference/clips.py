"""What may be given as a clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.errors import AudioError


def checked_rate(sample_rate: float) -> int:
    """A rate in Hz. Raises: AudioError."""
    if not sample_rate >= 1 or sample_rate % 1:
        raise AudioError(f"the sample rate is {sample_rate} Hz, but must be a whole number from 1")
    return int(sample_rate)


def checked_clip(audio: Any) -> Tensor:
    """(channels, samples) in float32, from a tensor or an array. Raises: AudioError."""
    audio = torch.as_tensor(audio)
    clip = audio[None] if audio.ndim == 1 else audio
    if not clip.is_floating_point():
        raise AudioError(f"samples are decimals between -1 and 1, not {clip.dtype}")
    if clip.ndim != 2 or clip.numel() == 0:
        raise AudioError(f"a clip is (channels, samples), not {tuple(audio.shape)}")
    if not torch.isfinite(clip).all():
        raise AudioError("the audio has NaN or infinite samples")
    return clip.float()
