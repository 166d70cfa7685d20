"""Decoding with a diffusion autoencoder from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.test_cli import sound
from tests.shrunk import shrunk
from zoo.training.run import train


@pytest.fixture(scope="module")
def diffusion_run(tmp_path_factory) -> Path:
    return train(shrunk("starter_dit", tmp_path_factory.mktemp("diffusion"))).folder


def test_the_seed_decides_and_the_length_stays(call, diffusion_run):
    sound("a.wav", 1, 32000, 5001)
    assert call("encode", "a.wav", "-m", diffusion_run)[0] == 0
    decoded = []
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        flags = ("--steps", 3, "--sampler", "dpmpp_2m", "--seed", seed, "-o", f"{name}.wav")
        code, _, err = call("decode", "a.safetensors", "-m", diffusion_run, *flags)
        assert code == 0, err
        decoded.append(soundfile.read(f"{name}.wav")[0])
    assert decoded[0].shape == (5001,)
    assert np.array_equal(decoded[0], decoded[1])
    assert not np.array_equal(decoded[0], decoded[2])
    assert call("reconstruct", "a.wav", "-m", diffusion_run, "--steps", 2)[0] == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--sampler", "dpm"), "'dpm' is not one of 'ddim', 'dpmpp_2m'"),
        (("--steps", "0"), "'--steps': Input should be greater than or equal to 1"),
    ],
)
def test_bad_values_are_refused_before_anything_is_read(call, flags, message):
    code, _, err = call("decode", "missing.safetensors", *flags)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())


def test_other_models_take_no_steps(call, run):
    sound("a.wav")
    assert call("encode", "a.wav", "-m", run)[0] == 0
    code, _, err = call("decode", "a.safetensors", "-m", run, "--steps", "3", "--seed", "1")
    assert code == 2
    assert "--steps, --seed: only for diffusion autoencoders" in err
