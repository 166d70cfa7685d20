"""Small audio files for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from zoo.data.crops import AudioFile
from zoo.data.files import probe


def waves(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    """A sine with noise, (samples, channels): hard for lossy formats, and no two places alike."""
    rng = np.random.default_rng(seed)
    sine = 0.3 * np.sin(np.arange(samples) * 0.05)[:, None]
    return (sine + 0.05 * rng.standard_normal((samples, channels))).astype(np.float32)


def write_waves(
    path: Path, samples: int, channels: int = 1, sample_rate: int = 8000, seed: int = 0
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waves(samples, channels, seed), sample_rate)
    return path


def audio_file(
    path: Path, samples: int, channels: int = 1, sample_rate: int = 8000, seed: int = 0
) -> AudioFile:
    """A written and probed file."""
    write_waves(path, samples, channels, sample_rate, seed)
    return AudioFile(path, probe(path))
