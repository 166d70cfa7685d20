from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.config.data import SynthesisConfig
from zoo.data import sounds, synthesis
from zoo.data.files import probe, read_audio
from zoo.data.sounds import make_sound
from zoo.data.synthesis import synthesise_clip, write_corpus

SOUNDS = SynthesisConfig().sounds


@settings(max_examples=60, deadline=None)
@given(
    sound=st.sampled_from(SOUNDS),
    seed=st.integers(0, 10**6),
    seconds=st.floats(0.0001, 0.7),
    sample_rate=st.sampled_from([1000, 8000, 22050, 48000]),
)
def test_every_sound_has_its_length_and_range(
    sound, seed: int, seconds: float, sample_rate: int
) -> None:
    values = make_sound(sound, np.random.default_rng(seed), seconds, sample_rate)
    assert values.shape == (max(1, round(seconds * sample_rate)),)
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= 1
    again = make_sound(sound, np.random.default_rng(seed), seconds, sample_rate)
    np.testing.assert_array_equal(values, again)


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("seed", range(5))
def test_sounds_are_loud_enough_and_fade(sound, seed: int) -> None:
    values = make_sound(sound, np.random.default_rng(seed), 1.0, 22050)
    assert np.sqrt(np.mean(values**2)) > 0.01
    assert max(abs(values[0]), abs(values[-1])) < 0.01


@pytest.mark.parametrize("sound", ["tone", "chord", "pluck"])
@pytest.mark.parametrize("seed", range(5))
def test_pitched_sounds_do_not_alias(sound, seed: int) -> None:
    values = make_sound(sound, np.random.default_rng(seed), 1.0, 4000)
    power = np.abs(np.fft.rfft(values * np.hanning(len(values)))) ** 2
    assert power[1900:].sum() < 1e-4 * power.sum()


def test_partials_above_the_limit_are_left_out() -> None:
    time = np.arange(4000) / 4000
    values = sounds._harmonics(np.random.default_rng(0), time, 1000.0, 4000, partials=6)
    power = np.abs(np.fft.rfft(values)) ** 2
    assert power[1000] > 0.999 * power.sum()


def test_plucks_die_away_and_tones_stay() -> None:
    def last_to_first(sound) -> float:
        parts = make_sound(sound, np.random.default_rng(1), 2.0, 22050).reshape(4, -1)
        return float(np.sum(parts[3] ** 2) / np.sum(parts[0] ** 2))

    assert last_to_first("pluck") < 0.05
    assert 0.5 < last_to_first("tone") < 2


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    channels=st.integers(1, 4),
    seconds=st.floats(0.01, 2.0),
    sounds=st.lists(st.sampled_from(SOUNDS), min_size=1, max_size=3),
)
def test_a_clip_is_a_pure_function(seed: int, channels: int, seconds: float, sounds) -> None:
    clip = synthesise_clip(seed, seconds, 8000, channels, sounds)
    assert clip.dtype == torch.float32
    assert clip.shape == (channels, max(1, round(seconds * 8000)))
    assert clip.abs().max() == pytest.approx(10 ** (-3 / 20), rel=1e-6)
    assert torch.equal(clip, synthesise_clip(seed, seconds, 8000, channels, sounds))
    assert not torch.equal(clip, synthesise_clip(seed + 1, seconds, 8000, channels, sounds))


def test_panning_keeps_the_power_of_a_single_sound() -> None:
    values = np.random.default_rng(0).standard_normal(100)
    for channels in (1, 2, 5):
        for seed in range(20):
            panned = synthesis._panned(np.random.default_rng(seed), values, channels)
            assert panned.shape == (channels, 100)
            np.testing.assert_allclose((panned**2).sum(0), values**2)


def test_no_second_of_a_clip_is_silent_everywhere() -> None:
    for seed in range(5):
        clip = synthesise_clip(seed, 8, 8000, 2, SOUNDS)
        peaks = clip.reshape(2, 4, -1).abs().amax((0, 2))
        assert (peaks > 1e-3).all()


def _config(**changes) -> SynthesisConfig:
    return SynthesisConfig(**{"files": 3, "seconds": 1, "seed": 5, **changes})


def test_a_corpus_is_written_once(tmp_path: Path) -> None:
    paths = write_corpus(tmp_path, _config(), 8000, 2)
    assert len(set(paths)) == 3
    for path in paths:
        info = probe(path)
        assert (info.sample_rate, info.channels, info.samples) == (8000, 2, 8000)
    clips = [read_audio(path).values for path in paths]
    assert not torch.equal(clips[0], clips[1])
    torch.testing.assert_close(
        clips[1], synthesise_clip((5, 1), 1, 8000, 2, SOUNDS), rtol=0, atol=2**-15
    )
    times = [path.stat().st_mtime_ns for path in paths]
    assert write_corpus(tmp_path, _config(), 8000, 2) == paths
    assert [path.stat().st_mtime_ns for path in paths] == times


def test_an_interrupted_corpus_is_completed(tmp_path: Path) -> None:
    paths = write_corpus(tmp_path, _config(), 8000, 1)
    content = paths[1].read_bytes()
    kept = paths[0].stat().st_mtime_ns
    paths[1].unlink()
    assert write_corpus(tmp_path, _config(), 8000, 1) == paths
    assert paths[1].read_bytes() == content
    assert paths[0].stat().st_mtime_ns == kept


def test_other_parameters_are_another_corpus(tmp_path: Path) -> None:
    folders = {
        write_corpus(tmp_path, config, rate, channels)[0].parent
        for config, rate, channels in [
            (_config(), 8000, 1),
            (_config(), 8000, 2),
            (_config(), 4000, 1),
            (_config(seed=6), 8000, 1),
            (_config(files=2), 8000, 1),
            (_config(sounds=("drum",)), 8000, 1),
        ]
    }
    assert len(folders) == 6
