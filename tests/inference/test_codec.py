"""Any rate, channel count and length to latents and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.conftest import TINY
from zoo.data.files import read_audio, write_audio
from zoo.errors import AudioError, CheckpointError
from zoo.inference.latents import Latents

RAN: list[int] = []


@pytest.fixture(scope="module")
def codec():
    torch.manual_seed(0)
    return zoo.Codec(zoo.from_config(TINY), device="cpu")


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 6),
    samples=st.integers(1, 3000),
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]),
)
def test_shape_and_rate_come_back(codec, channels, samples, rate):
    audio = torch.rand(channels, samples) - 0.5
    latents = codec.encode(audio, rate)
    at_model = -(-samples * 16000 // rate)
    assert latents.values.shape == (3, -(-at_model // 8))
    assert (latents.sample_rate, latents.samples, latents.channels) == (rate, samples, channels)
    decoded = codec.decode(latents)
    assert decoded.shape == audio.shape
    assert decoded.dtype == torch.float32
    RAN.append(samples)


def test_how_many_ran():
    assert len(RAN) >= 60


def test_at_the_models_own_rate_it_is_the_model(codec):
    audio = torch.randn(2, 801)
    latents = codec.encode(audio)
    with torch.no_grad():
        expected = codec.model.encode(audio[None])
        torch.testing.assert_close(latents.values, expected[0])
        torch.testing.assert_close(codec.decode(latents), codec.model.decode(expected)[0, :, :801])
    torch.testing.assert_close(codec.reconstruct(audio), codec.decode(latents))
    torch.testing.assert_close(codec.encode(audio, 16000.0).values, latents.values)


def test_resampling_is_near_the_signal():
    class Through:
        sample_rate, in_channels, downsampling_ratio = 16000, 2, 1

        def eval(self):
            return self

        def to(self, device):
            return self

        def parameters(self):
            return iter([torch.zeros(1)])

        def state_dict(self):
            return {}

        def encode(self, audio):
            return audio

        decode = encode

    time = torch.arange(8000) / 44100
    audio = torch.stack([(880 * torch.pi * time).sin(), (440 * torch.pi * time).cos()])
    result = zoo.Codec(Through(), device="cpu").reconstruct(audio, 44100)
    inside = slice(500, -500)
    assert (result - audio)[:, inside].abs().max() < 2e-3


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(2, 0), "not"),
        (torch.zeros(1, 2, 3), "channels, samples"),
        (torch.full((1, 9), float("nan")), "NaN"),
        (torch.full((1, 9), float("inf")), "infinite"),
        (torch.ones(1, 9, dtype=torch.int16), "decimals"),
    ],
)
def test_bad_audio_is_refused(codec, audio, message):
    with pytest.raises(AudioError, match=message):
        codec.encode(audio)


def test_latents_survive_their_file(codec, tmp_path):
    latents = codec.encode(torch.randn(1, 500), 22050)
    path = tmp_path / "deep" / "a.safetensors"
    latents.save(path)
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]
    again = Latents.load(path)
    assert torch.equal(again.values, latents.values)
    assert torch.equal(codec.decode(again), codec.decode(latents))


@pytest.mark.parametrize("damage", ["truncated", "text", "other tensors", "missing"])
def test_what_is_no_latent_file_is_named(codec, tmp_path, damage):
    from safetensors.torch import save_file

    path = tmp_path / "bad.safetensors"
    codec.encode(torch.randn(1, 500)).save(path)
    match damage:
        case "truncated":
            path.write_bytes(path.read_bytes()[:-20])
        case "text":
            path.write_text("hello")
        case "other tensors":
            save_file({"a": torch.zeros(3)}, path)
        case "missing":
            path.unlink()
    with pytest.raises(CheckpointError, match=r"bad\.safetensors"):
        Latents.load(path)


def test_latents_of_another_model_are_refused(codec):
    torch.manual_seed(1)
    other = zoo.Codec(zoo.from_config(TINY), device="cpu")
    with pytest.raises(CheckpointError, match=codec.fingerprint):
        other.decode(codec.encode(torch.randn(1, 100)))


def test_bare_tensors_are_refused(codec):
    with pytest.raises(TypeError, match="not a Tensor"):
        codec.decode(torch.zeros(1, 8, 4))


def test_fingerprints_follow_the_weights(codec):
    again = zoo.from_config(TINY)
    again.load_state_dict(codec.model.state_dict())
    assert zoo.Codec(again, device="cpu").fingerprint == codec.fingerprint
    with torch.no_grad():
        again.encoder.layers[0].bias[0] += 1
    assert zoo.Codec(again, device="cpu").fingerprint != codec.fingerprint


def test_upstreams_model_encodes_too(tmp_path):
    model = zoo.from_config(TINY, engine="stable-audio-tools")
    codec = zoo.Codec(model, device="cpu")
    path = tmp_path / "a.wav"
    write_audio(path, torch.randn(1, 777).clamp(-1, 1), 8000)
    assert codec.reconstruct(read_audio(path)).shape == (1, 777)


def test_a_path_is_read(codec, tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, torch.rand(1, 300) - 0.5, 8000)
    assert torch.equal(codec.encode(path).values, codec.encode(read_audio(path)).values)
    assert "tensor" not in repr(codec.encode(path))


def test_arrays_and_half_precision(codec):
    audio = torch.rand(2, 400) - 0.5
    assert torch.equal(codec.encode(audio.numpy()).values, codec.encode(audio).values)
    torch.manual_seed(0)
    half = zoo.Codec(zoo.from_config(TINY).to(torch.bfloat16), device="cpu")
    latents = half.encode(audio)
    assert latents.values.dtype == torch.bfloat16
    assert half.decode(latents).shape == audio.shape
    with pytest.raises(AudioError, match="sample rate"):
        codec.encode(audio, 0)
