"""What of a model's latents is kept: posteriors, tokens, half precision."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

import zoo
from tests.conftest import TINY
from zoo.errors import CheckpointError
from zoo.inference.latents import Latents

BOTTLENECKS = {
    "dac_rvq": {"input_dim": 3, "n_codebooks": 2, "codebook_size": 16, "codebook_dim": 2},
    "rvq": {"dim": 3, "num_quantizers": 2, "codebook_size": 16, "kmeans_init": False},
    "fsq": {"dim": 3, "levels": [5, 5, 5]},
}


@pytest.fixture(scope="module")
def codec():
    torch.manual_seed(0)
    return zoo.Codec(zoo.from_config(TINY), device="cpu")


def discrete(kind, **changes):
    torch.manual_seed(0)
    config = copy.deepcopy(TINY)
    config["model"]["encoder"]["config"]["latent_dim"] = 3
    config["model"]["bottleneck"] = {"type": kind, "config": {**BOTTLENECKS[kind], **changes}}
    return zoo.Codec(zoo.from_config(config), device="cpu")


def test_the_posterior_is_that_of_the_encoder(codec):
    audio = torch.randn(2, 803)
    kept = codec.encode(audio, posterior=True)
    with torch.no_grad():
        padded = F.pad(audio, (0, 5))[None]
        mean, scale = codec.model.encode(padded, skip_bottleneck=True)[0].chunk(2)
    torch.testing.assert_close(kept.values, mean)
    torch.testing.assert_close(kept.std, F.softplus(scale) + 1e-4)
    assert codec.encode(audio).std is None
    assert torch.equal(codec.decode(kept), codec.decode(codec.encode(audio)))


def test_draws_have_the_posterior_s_mean_and_std():
    std = torch.tensor([[0.1], [2.0]]).expand(2, 20000)
    mean = torch.tensor([[3.0], [-1.0]]).expand(2, 20000)
    kept = Latents(mean, 16000, 160000, 1, "x", std=std)
    drawn = kept.sample(torch.Generator().manual_seed(0))
    assert drawn.std is None
    torch.testing.assert_close(drawn.values.mean(1), mean[:, 0], atol=0.06, rtol=0)
    torch.testing.assert_close(drawn.values.std(1), std[:, 0], atol=0, rtol=0.02)
    assert torch.equal(drawn.values, kept.sample(torch.Generator().manual_seed(0)).values)
    with pytest.raises(CheckpointError, match="posterior=True"):
        drawn.sample()


def test_a_posterior_survives_its_file(codec, tmp_path):
    kept = codec.encode(torch.randn(1, 400), 8000, posterior=True)
    kept.save(tmp_path / "a.safetensors")
    assert set(load_file(tmp_path / "a.safetensors")) == {"latents", "std"}
    again = Latents.load(tmp_path / "a.safetensors")
    assert torch.equal(again.values, kept.values) and torch.equal(again.std, kept.std)
    assert (again.frames, again.seconds) == (kept.frames, 400 / 8000)


@pytest.mark.parametrize("kind", BOTTLENECKS)
def test_a_posterior_needs_a_vae(kind):
    with pytest.raises(CheckpointError, match=r"bottleneck 'vae'.*Bottleneck;"):
        discrete(kind).encode(torch.randn(2, 80), posterior=True)


@pytest.mark.parametrize("kind", BOTTLENECKS)
def test_tokens_are_small_and_decode_exactly(kind, tmp_path):
    codec = discrete(kind)
    kept = codec.encode(torch.randn(2, 1203))
    path = tmp_path / "a.safetensors"
    kept.save(path)
    tensors = load_file(path)
    assert list(tensors) == ["tokens"] and tensors["tokens"].dtype == torch.int16
    assert tensors["tokens"].shape[-1] == kept.values.shape[-1] == kept.frames
    again = Latents.load(path)
    assert (again.frames, again.samples) == (kept.frames, 1203)
    assert torch.equal(codec.decode(again), codec.decode(kept))


def test_tokens_of_large_codebooks_take_more_bytes():
    kept = discrete("fsq", levels=[64, 64, 64]).encode(torch.randn(2, 400))
    assert kept.tokens.dtype == torch.int32 and kept.tokens.max() > 32767


def test_files_without_tokens_of_a_discrete_model_are_read(tmp_path):
    codec = discrete("dac_rvq")
    kept = codec.encode(torch.randn(2, 300))
    facts = {"sample_rate": 16000, "samples": 300, "channels": 2}
    metadata = {key: str(value) for key, value in facts.items()}
    metadata |= {"fingerprint": kept.fingerprint, "zoo_version": "0.1.0"}
    save_file({"latents": kept.values}, tmp_path / "old.safetensors", metadata=metadata)
    assert torch.equal(codec.decode(Latents.load(tmp_path / "old.safetensors")), codec.decode(kept))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(codec, tmp_path, dtype):
    kept = codec.encode(torch.randn(2, 800), posterior=True)
    half = kept.to(dtype)
    assert half.std.dtype == dtype
    half.save(tmp_path / "a.safetensors")
    again = Latents.load(tmp_path / "a.safetensors")
    assert torch.equal(again.values, kept.values.to(dtype))
    assert codec.decode(again).shape == (2, 800)
    large = Latents(torch.full((1, 2), 1e6), 16000, 9, 1, "x")
    if dtype == torch.float16:
        with pytest.raises(CheckpointError, match=r"as large as 1e\+06"):
            large.to(dtype)
    with pytest.raises(CheckpointError, match="float64"):
        kept.to(torch.float64)


@pytest.mark.parametrize("damage", ["std of another length", "decimal tokens", "whole latents"])
def test_wrong_tensors_are_refused(tmp_path, damage):
    tensors = {
        "std of another length": {"latents": torch.zeros(3, 4), "std": torch.ones(3, 5)},
        "decimal tokens": {"tokens": torch.zeros(2, 4)},
        "whole latents": {"latents": torch.zeros(2, 4, dtype=torch.int32)},
    }[damage]
    metadata = {"sample_rate": "8000", "samples": "9", "channels": "1", "fingerprint": "x"}
    save_file(tensors, tmp_path / "bad.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=r"bad\.safetensors"):
        Latents.load(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("kind", ["vae", *BOTTLENECKS])
def test_a_long_file_keeps_the_same(kind, codec, tmp_path, monkeypatch):
    codec = codec if kind == "vae" else discrete(kind)
    clip = torch.rand(2, 5000) - 0.5
    path = tmp_path / "long.wav"
    zoo.write_audio(path, clip, codec.model.sample_rate)
    whole = codec.encode(path, posterior=kind == "vae")
    monkeypatch.setattr(type(codec.model), "frames_to_encode", lambda model, batch=1: 7)
    monkeypatch.setattr(type(codec.model), "frames_to_decode", lambda model, batch=1: 7)
    kept = codec.encode(path, posterior=kind == "vae")
    torch.testing.assert_close(kept.values, whole.values, atol=1e-5, rtol=0)
    if kind == "vae":
        torch.testing.assert_close(kept.std, whole.std, atol=1e-5, rtol=0)
    else:
        assert kept.tokens.dtype == whole.tokens.dtype and torch.equal(kept.tokens, whole.tokens)
    kept.save(tmp_path / "long.safetensors")
    again = Latents.load(tmp_path / "long.safetensors")
    codec.decode_file(again, tmp_path / "again.wav")
    decoded = zoo.read_audio(tmp_path / "again.wav").values
    torch.testing.assert_close(decoded, codec.decode(whole).clamp(-1, 1), atol=1e-4, rtol=0)
