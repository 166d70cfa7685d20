"""Practice audio: seeded clips of overlapping sounds, and folders full of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from zoo.config.data import Sound, SynthesisConfig
from zoo.data.files import write_audio
from zoo.data.sounds import make_sound

_PEAK = 10 ** (-3 / 20)
_EVENTS_PER_SECOND = 1.5
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.3, 2.5
_QUIETEST_DB = -18.0
# Part of the folder's name: a changed synthesiser must not reuse old files.
_VERSION = 1


def synthesise_clip(
    seed: int | Sequence[int],
    seconds: float,
    sample_rate: int,
    channels: int,
    sounds: Sequence[Sound],
) -> Tensor:
    """A clip of overlapping sounds with its peak at -3 dB of full scale.

    A pure function of its arguments. With two channels and more, every sound sits between two
    neighbouring channels at constant power.

    Args:
        seed: one number or several.
        seconds: length of the clip.
        sample_rate: Hz.
        channels: 1 or more.
        sounds: the classes to choose from; the clip uses them in turn, in random order.

    Returns:
        float32 (channels, samples).
    """
    assert sounds and channels > 0 and sample_rate > 0
    rng = np.random.default_rng(seed)
    samples = max(1, round(seconds * sample_rate))
    clip = np.zeros((channels, samples))
    events = max(2, math.ceil(_EVENTS_PER_SECOND * seconds))
    order = [sound for _ in range(0, events, len(sounds)) for sound in rng.permutation(sounds)]
    for event in range(events):
        length = min(seconds, rng.uniform(_SHORTEST_SECONDS, _LONGEST_SECONDS))
        values = make_sound(order[event], rng, length, sample_rate)[:samples]
        # One event in each equal stretch of the clip, so that none of it stays silent for long.
        place = (event + rng.uniform()) / events
        start = round(place * (samples - len(values)))
        gain = 10 ** (rng.uniform(_QUIETEST_DB, 0) / 20)
        clip[:, start : start + len(values)] += gain * _panned(rng, values, channels)
    peak = np.abs(clip).max()
    return torch.from_numpy((clip * (_PEAK / peak) if peak > 0 else clip).astype(np.float32))


def write_corpus(
    folder: str | Path, config: SynthesisConfig, sample_rate: int, channels: int
) -> tuple[Path, ...]:
    """Writes practice audio as 16-bit flac into a folder of its own below `folder`.

    The folder is named after the parameters. Files that are there are kept, so that a finished
    corpus is reused and an interrupted one completed.

    Raises:
        AudioError: a file cannot be written.
    """
    paths = corpus_paths(folder, config, sample_rate, channels)
    for number, path in enumerate(paths):
        if not path.exists():
            seed = (config.seed, number)
            clip = synthesise_clip(seed, config.seconds, sample_rate, channels, config.sounds)
            write_audio(path, clip, sample_rate, subtype="PCM_16")
    return paths


def corpus_paths(
    folder: str | Path, config: SynthesisConfig, sample_rate: int, channels: int
) -> tuple[Path, ...]:
    """The files that `write_corpus` writes, whether they exist or not."""
    parameters = json.dumps(
        [_VERSION, config.model_dump(mode="json"), sample_rate, channels], sort_keys=True
    )
    digest = hashlib.sha256(parameters.encode()).hexdigest()[:8]
    corpus = Path(folder).expanduser() / f"{sample_rate}hz-{channels}ch-{digest}"
    return tuple(corpus / f"practice_{number:04d}.flac" for number in range(config.files))


def _panned(rng: Generator, values: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1:
        return values[None]
    position = rng.uniform(0, channels - 1)
    left = min(int(position), channels - 2)
    angle = (position - left) * math.pi / 2
    gains = np.zeros((channels, 1))
    gains[left], gains[left + 1] = math.cos(angle), math.sin(angle)
    return gains * values
