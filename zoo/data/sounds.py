"""Six classes of made-up sounds: mono, float64, each a function of a random generator."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.random import Generator

from zoo.config.data import Sound

_FADE_SECONDS = 0.004
_MAJOR, _MINOR, _SUSPENDED = (0, 4, 7, 12), (0, 3, 7, 12), (0, 5, 7, 10)


def make_sound(sound: Sound, rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """One sound of a class, faded in and out, peak at most 1.

    Args:
        sound: the class.
        rng: decides pitch, timbre and rhythm.
        seconds: length.
        sample_rate: Hz; partials above 0.45 times this are left out.

    Returns:
        (samples,), at least one sample.
    """
    match sound:
        case "tone":
            values = tone(rng, seconds, sample_rate)
        case "chord":
            values = chord(rng, seconds, sample_rate)
        case "pluck":
            values = pluck(rng, seconds, sample_rate)
        case "drum":
            values = drum(rng, seconds, sample_rate)
        case "chirp":
            values = chirp(rng, seconds, sample_rate)
        case "noise":
            values = noise(rng, seconds, sample_rate)
        case _:
            assert_never(sound)
    values = values * _edges(len(values), sample_rate)
    return values / max(np.abs(values).max(), 1.0)


def tone(rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """A steady harmonic tone with a few partials and slow vibrato."""
    time = _time(seconds, sample_rate)
    vibrato = 0.004 * np.sin(2 * np.pi * rng.uniform(4, 7) * time + rng.uniform(0, 6))
    return _harmonics(rng, time, _pitch(rng, 36, 84), sample_rate, partials=6, warp=vibrato)


def chord(rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """Three or four tones of a chord with a slow swell."""
    time = _time(seconds, sample_rate)
    root = _pitch(rng, 40, 64)
    intervals = (_MAJOR, _MINOR, _SUSPENDED)[rng.integers(3)][: rng.integers(3, 5)]
    notes = sum(
        _harmonics(rng, time, root * 2 ** (interval / 12), sample_rate, partials=4)
        for interval in intervals
    )
    swell = 1 - np.exp(-time / rng.uniform(0.01, 0.3))
    return notes * swell / len(intervals)


def pluck(rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """A plucked string: slightly stretched partials that die away, the high ones first."""
    time = _time(seconds, sample_rate)
    pitch = _pitch(rng, 40, 76)
    decay_seconds = rng.uniform(0.2, 0.9)
    position = rng.uniform(0.1, 0.5)
    stretch = rng.uniform(0, 3e-4)
    values = np.zeros_like(time)
    for partial in range(1, 13):
        frequency = pitch * partial * np.sqrt(1 + stretch * partial**2)
        if frequency > 0.45 * sample_rate:
            break
        envelope = np.exp(-time * (0.6 + 0.4 * partial) / decay_seconds)
        strength = np.sin(np.pi * partial * position) / partial
        values += strength * envelope * np.sin(2 * np.pi * frequency * time)
    return values


def drum(rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """A pattern of kicks, snares and hats on a grid."""
    time = _time(seconds, sample_rate)
    step = max(1, round(rng.uniform(0.12, 0.25) * sample_rate))
    kit = (_kick(rng, sample_rate), _snare(rng, sample_rate), _hat(rng, sample_rate))
    values = np.zeros_like(time)
    for start in range(0, len(time), step):
        hit = kit[rng.choice(3, p=(0.3, 0.2, 0.5))] * rng.uniform(0.5, 1)
        end = min(start + len(hit), len(time))
        values[start:end] += hit[: end - start]
    return values


def chirp(rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """A sine that sweeps exponentially between two frequencies, up or down."""
    time = _time(seconds, sample_rate)
    low, high = 60.0, max(61.0, min(12000.0, 0.45 * sample_rate))
    first, last = np.exp(rng.uniform(np.log(low), np.log(high), 2))
    growth = np.log(last / first) / max(seconds, 1e-3)
    if abs(growth) < 1e-6:
        return np.sin(2 * np.pi * first * time)
    return np.sin(2 * np.pi * first * np.expm1(growth * time) / growth)


def noise(rng: Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """Bursts of noise in a band."""
    time = _time(seconds, sample_rate)
    centre = _pitch(rng, 50, 120)
    values = _band_noise(rng, len(time), sample_rate, centre, rng.uniform(0.3, 2.0))
    rate = rng.uniform(0.5, 6.0)
    return values * np.clip(0.3 + np.sin(2 * np.pi * rate * time + rng.uniform(0, 6)), 0, 1)


def _time(seconds: float, sample_rate: int) -> np.ndarray:
    return np.arange(max(1, round(seconds * sample_rate))) / sample_rate


def _pitch(rng: Generator, lowest: int, highest: int) -> float:
    """Hz of a random MIDI note."""
    return 440.0 * 2 ** ((rng.integers(lowest, highest + 1) - 69) / 12)


def _harmonics(
    rng: Generator,
    time: np.ndarray,
    pitch: float,
    sample_rate: int,
    *,
    partials: int,
    warp: np.ndarray | float = 0.0,
) -> np.ndarray:
    tilt = rng.uniform(0.8, 2.0)
    phases = rng.uniform(0, 2 * np.pi, partials)
    angle = 2 * np.pi * pitch * time + warp
    values = np.zeros_like(time)
    for partial in range(1, partials + 1):
        if partial * pitch > 0.45 * sample_rate:
            break
        values += np.sin(partial * angle + phases[partial - 1]) / partial**tilt
    return values / 2


def _band_noise(
    rng: Generator, samples: int, sample_rate: int, centre: float, octaves: float
) -> np.ndarray:
    size = 1 << max(4, (samples - 1).bit_length())
    spectrum = np.fft.rfft(rng.standard_normal(size))
    distance = np.log2(np.fft.rfftfreq(size, 1 / sample_rate)[1:] / centre) / octaves
    spectrum[0] = 0
    spectrum[1:] *= np.exp(-0.5 * distance**2)
    values = np.fft.irfft(spectrum, size)[:samples]
    return values / max(np.abs(values).max(), 1e-9)


def _kick(rng: Generator, sample_rate: int) -> np.ndarray:
    time = _time(0.3, sample_rate)
    top, bottom, fall = rng.uniform(100, 220), rng.uniform(40, 60), rng.uniform(20, 40)
    angle = 2 * np.pi * (bottom * time + (top - bottom) * (1 - np.exp(-fall * time)) / fall)
    return np.sin(angle) * np.exp(-time * 12)


def _snare(rng: Generator, sample_rate: int) -> np.ndarray:
    time = _time(0.2, sample_rate)
    skin = np.sin(2 * np.pi * rng.uniform(160, 220) * time) * np.exp(-time * 25)
    wires = _band_noise(rng, len(time), sample_rate, 3000, 1.5) * np.exp(-time * 18)
    return 0.5 * skin + 0.7 * wires


def _hat(rng: Generator, sample_rate: int) -> np.ndarray:
    time = _time(0.08, sample_rate)
    return 0.5 * _band_noise(rng, len(time), sample_rate, 9000, 0.6) * np.exp(-time * 60)


def _edges(samples: int, sample_rate: int) -> np.ndarray:
    """Raised-cosine fades at both ends, 1 in between."""
    fade = min(round(_FADE_SECONDS * sample_rate), samples // 2)
    envelope = np.ones(samples)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))
    envelope[:fade] = ramp
    envelope[samples - fade :] *= ramp[::-1]
    return envelope
