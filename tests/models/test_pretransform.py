"""Pretransforms around networks; an autoencoder as a pretransform; hyperencoders."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.examples import random_oobleck, random_seanet
from tests.oracle import import_upstream
from zoo.errors import ConfigError
from zoo.factory import (
    create_autoencoder_from_config,
    create_hyperencoder_from_config,
    create_model_from_config,
    create_pretransform_from_config,
)
from zoo.models.pretransform import AutoencoderPretransform, PretrainedPretransform
from zoo.nets.bottlenecks.base import Bottleneck

WAVELET = {"type": "wavelet", "config": {"channels": 2, "levels": 2, "wavelet": "bior4.4"}}
PATCHED = {"type": "patched", "config": {"channels": 2, "patch_size": 4}}
OVERSAMPLED = {"type": "patched", "config": {"channels": 2, "patch_size": 8, "oversampling": 2}}
PQMF = {"type": "pqmf", "config": {"attenuation": 60, "num_bands": 4, "channels": 2}}


def inner(rng: random.Random, **outer: Any) -> dict[str, Any]:
    """A random small autoencoder of stereo audio as a pretransform."""
    config = random_oobleck(rng, strides=(2, 3, 4))["model"]
    config["encoder"]["config"]["in_channels"] = config["decoder"]["config"]["out_channels"] = 2
    config["io_channels"] = 2
    if config.get("bottleneck", {}).get("type") == "wasserstein":
        config["bottleneck"] = {"type": "wasserstein", "config": {"use_tanh": True}}
    return {"type": "autoencoder", "config": config, **outer}


def inner_seanet(rng: random.Random) -> dict[str, Any]:
    """A random SEANet autoencoder of stereo audio, which may reflect it at its ends."""
    config = random_seanet(rng, ratios=(2, 3), finite=True)["model"]
    for part in ("encoder", "decoder"):
        config[part]["config"]["channels"] = 2
    config["io_channels"] = 2
    return {"type": "autoencoder", "config": config}


def channels_and_ratio(pretransform: dict[str, Any]) -> tuple[int, int]:
    built = create_pretransform_from_config(pretransform, 16000)
    return built.encoded_channels, built.downsampling_ratio


def around(pretransform: dict[str, Any], tiny: dict[str, Any]) -> dict[str, Any]:
    """`tiny` with a pretransform, its sizes fitted."""
    config = copy.deepcopy(tiny)
    channels, ratio = channels_and_ratio(pretransform)
    model = config["model"]
    model["encoder"]["config"]["in_channels"] = channels
    model["decoder"]["config"]["out_channels"] = channels
    model["downsampling_ratio"] *= ratio
    model["pretransform"] = copy.deepcopy(pretransform)
    return config


def each() -> list[dict[str, Any]]:
    rng = random.Random(1)
    nested = inner(rng)
    nested["config"]["encoder"]["config"]["in_channels"] = 8
    nested["config"]["decoder"]["config"]["out_channels"] = 8
    nested["config"]["downsampling_ratio"] *= 4
    nested["config"]["pretransform"] = WAVELET
    # Latents with a gradient, which a single normalised channel has not.
    nested["config"]["bottleneck"] = {"type": "tanh"}
    return [WAVELET, PATCHED, OVERSAMPLED, PQMF, inner(rng, scale=0.5), nested]


every = pytest.mark.parametrize(
    "pretransform", each(), ids=["wavelet", "patched", "oversampled", "pqmf", "inner", "nested"]
)


def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets upstream's VAE give its mean, as ours does in eval mode."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)


@torch.no_grad()
def test_random_autoencoders_inside_equal_upstreams(monkeypatch):
    factory = import_upstream("stable_audio_tools.models.factory")
    without_noise(monkeypatch)
    ran = 0
    for seed in range(60):
        rng = random.Random(seed)
        torch.manual_seed(seed)
        config = inner(rng, scale=rng.choice((1.0, 0.3, 2.5)), iterate_batch=rng.random() < 0.3)
        for part in ("encoder", "decoder"):
            # upstream: odd strides lose samples.
            strides = [2 * -(-s // 2) for s in config["config"][part]["config"]["strides"]]
            config["config"][part]["config"]["strides"] = strides
        config["config"]["downsampling_ratio"] = torch.tensor(strides).prod().item()
        ours = create_pretransform_from_config(config, 22050)
        theirs = factory.create_pretransform_from_config(copy.deepcopy(config), 22050)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        ours.load_state_dict(theirs.state_dict())
        for name in ("downsampling_ratio", "encoded_channels", "io_channels", "sample_rate"):
            assert getattr(ours, name) == getattr(theirs, name), name
        audio = torch.randn(2, 2, ours.downsampling_ratio * rng.randint(4, 9))
        latents = ours.encode(audio)
        torch.testing.assert_close(latents, theirs.encode(audio), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            ours.decode(latents), theirs.decode(latents), atol=1e-5, rtol=1e-4
        )
        ran += 1
    assert ran >= 50


@torch.no_grad()
def test_whole_models_equal_upstreams(tiny, monkeypatch):
    without_noise(monkeypatch)
    for pretransform in (WAVELET, PATCHED, *[inner(random.Random(seed)) for seed in range(4)]):
        for part in ("encoder", "decoder"):
            if pretransform["type"] == "autoencoder":
                network = pretransform["config"][part]["config"]
                network["strides"] = [2] * len(network["strides"])
                pretransform["config"]["downsampling_ratio"] = 2 ** len(network["strides"])
        config = around(pretransform, tiny)
        theirs = zoo.from_config(config, engine="stable-audio-tools")
        ours = zoo.from_config(config)
        ours.load_state_dict(theirs.state_dict())
        # upstream: mirrors no more than the signal holds.
        audio = torch.randn(1, 2, ours.downsampling_ratio * 12)
        latents = ours.encode(audio)
        torch.testing.assert_close(latents, theirs.encode(audio), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            ours.decode(latents), theirs.decode(latents), atol=1e-5, rtol=1e-4
        )


CHUNKED: list[str] = []


@torch.no_grad()
@settings(max_examples=90, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 40),
    short=st.integers(0, 30),
    chunk=st.integers(1, 20),
)
def test_chunked_is_unchunked(seed, frames, short, chunk):
    from tests.conftest import TINY

    rng = random.Random(seed)
    torch.manual_seed(seed)
    wavelet = copy.deepcopy(WAVELET)
    wavelet["config"] |= {
        "levels": rng.randint(0, 3),
        "wavelet": rng.choice(("bior2.2", "bior6.8")),
    }
    pqmf = copy.deepcopy(PQMF)
    pqmf["config"] |= {"attenuation": rng.choice((40, 100)), "num_bands": rng.choice((1, 3, 4))}
    chosen = rng.choice(
        (
            wavelet,
            PATCHED,
            OVERSAMPLED,
            pqmf,
            inner(rng, chunked=rng.random() < 0.5),
            inner_seanet(rng),
            each()[-1],
        )
    )
    # In float64: a norm over two channels may magnify rounding without end.
    model = zoo.from_config(around(chosen, TINY)).double()
    samples = max(1, frames * model.downsampling_ratio - short)
    audio = torch.randn(1, 2, samples, dtype=torch.float64)
    latents = model.encode(audio)
    given_latents = model.encode_audio(audio, chunked=True, chunk_size=chunk)
    assert (given_latents - latents).abs().max() < 1e-8 * max(1.0, float(latents.abs().max()))
    decoded = model.decode(latents)
    given_audio = model.decode_audio(latents, chunked=True, chunk_size=chunk)
    assert (given_audio - decoded).abs().max() < 1e-8 * max(1.0, float(decoded.abs().max()))
    CHUNKED.append(chosen["type"])


def test_how_many_chunked_ran():
    assert len(CHUNKED) >= 90
    assert set(CHUNKED) == {"wavelet", "patched", "pqmf", "autoencoder"}


@every
def test_gradients_flow_through_what_is_frozen_and_stays_in_eval_mode(pretransform, tiny):
    torch.manual_seed(0)
    model = zoo.from_config(around(pretransform, tiny)).train()
    assert not any(module.training for module in model.pretransform.modules())
    assert not any(weight.requires_grad for weight in model.pretransform.parameters())
    audio = torch.randn(1, 2, 2 * model.downsampling_ratio, requires_grad=True)
    model.decode(model.encode(audio)).square().sum().backward()
    assert audio.grad is not None and audio.grad.abs().sum() > 0
    for part in (model.encoder, model.decoder):
        assert all(weight.grad is not None for weight in part.parameters())
    assert all(weight.grad is None for weight in model.pretransform.parameters())


def test_enable_grad_trains_all_but_what_is_frozen_inside(tiny):
    config = inner(random.Random(3), enable_grad=True)
    config["config"]["encoder"]["requires_grad"] = False
    model = zoo.from_config(around(config, tiny))
    assert not any(w.requires_grad for w in model.pretransform.model.encoder.parameters())
    assert all(w.requires_grad for w in model.pretransform.model.decoder.parameters())


@every
@torch.no_grad()
def test_copies_and_saved_weights_give_the_same(pretransform, tiny, tmp_path):
    config = around(pretransform, tiny)
    model = zoo.from_config(config)
    audio = torch.randn(1, 2, 777)
    expected = model(audio)
    assert expected.shape == audio.shape
    torch.testing.assert_close(copy.deepcopy(model)(audio), expected)
    torch.save(model.state_dict(), tmp_path / "model.ckpt")
    loaded = zoo.from_config(model.config.to_dict(), checkpoint=tmp_path / "model.ckpt")
    torch.testing.assert_close(loaded(audio), expected)
    with torch.device("meta"):
        assert create_model_from_config(config).pretransform.downsampling_ratio


@torch.no_grad()
def test_it_loads_its_own_state_dict_and_that_of_the_autoencoder():
    config = inner(random.Random(5))
    one, other, third = (create_pretransform_from_config(config, 16000) for _ in range(3))
    audio = torch.randn(1, 2, 240)
    other.load_state_dict(one.state_dict())
    third.load_state_dict(one.model.state_dict())
    for loaded in (other, third):
        torch.testing.assert_close(loaded.encode(audio), one.encode(audio))
    with pytest.raises(RuntimeError, match="Missing key"):
        third.load_state_dict({})


@torch.no_grad()
def test_half_precision_inside_leaves_the_network_around_as_it_is(tiny):
    config = around(inner(random.Random(7), model_half=True), tiny)
    exact = around(inner(random.Random(7)), tiny)
    model, reference = zoo.from_config(config), zoo.from_config(exact)
    reference.load_state_dict(model.state_dict())
    audio = torch.randn(1, 2, 4 * model.downsampling_ratio)
    for dtype in (torch.float32, torch.float64):
        model.to(dtype)
        assert {w.dtype for w in model.pretransform.parameters()} == {torch.float16}
        assert model.encode(audio.to(dtype)).dtype == dtype
        torch.testing.assert_close(
            model.pretransform.encode(audio.to(dtype)).float(),
            reference.pretransform.encode(audio),
            atol=2e-2,
            rtol=2e-2,
        )


class Rounding(Bottleneck):
    """Latents in steps of a tenth, as tokens."""

    is_discrete, tokens_id, num_quantizers, codebook_size = True, "tokens", 3, 1000

    def encode_with_info(self, x, return_info, **kwargs):
        tokens = (x * 10).round().long()
        return tokens / 10, {"tokens": tokens}

    def decode_tokens(self, tokens, **kwargs):
        return tokens / 10


@torch.no_grad()
def test_tokens_of_a_discrete_model_inside(tiny):
    del tiny["model"]["bottleneck"]
    tiny["model"]["encoder"]["config"]["latent_dim"] = 3
    model = create_autoencoder_from_config(tiny)
    model.bottleneck, model.is_discrete = Rounding(), True
    audio = torch.randn(1, 2, 64)
    plain = AutoencoderPretransform(model, scale=2.0)
    assert (plain.is_discrete, plain.num_quantizers, plain.codebook_size) == (True, 3, 1000)
    tokens = plain.tokenize(audio)
    assert tokens.shape == (1, 3, 8)
    torch.testing.assert_close(plain.decode_tokens(tokens), plain.decode(plain.encode(audio)))

    pretrained = PretrainedPretransform(model, scale=2.0)
    torch.testing.assert_close(pretrained.encode(audio), model.encoder(audio) / 2)
    torch.testing.assert_close(
        pretrained.decode(pretrained.encode(audio)), plain.decode_tokens(tokens)
    )
    at_once = PretrainedPretransform(model, quantize_on_decode=False)
    torch.testing.assert_close(at_once.encode(audio), tokens / 10)
    torch.testing.assert_close(at_once.decode(tokens / 10), plain.decode_tokens(tokens))


def test_without_tokens_that_is_said():
    for config in (WAVELET, inner(random.Random(5))):
        pretransform = create_pretransform_from_config(config, 16000)
        with pytest.raises(TypeError, match=r"tokens|discrete"):
            pretransform.tokenize(torch.randn(1, 2, 64))
        with pytest.raises(TypeError, match=r"tokens|discrete"):
            pretransform.decode_tokens(torch.zeros(1, 1, 4, dtype=torch.long))


@torch.no_grad()
def test_a_hyperencoder_is_an_autoencoder_over_latents(tiny):
    config = around(inner(random.Random(9)), tiny) | {"model_type": "hyperencoder"}
    before = copy.deepcopy(config)
    model = create_hyperencoder_from_config(config)
    assert config == before
    assert create_model_from_config(config).config == model.config
    audio = torch.randn(2, 2, 5 * model.downsampling_ratio)
    latents = model.encode(audio)
    torch.testing.assert_close(
        latents, model.bottleneck.encode(model.encoder(model.pretransform.encode(audio)))
    )
    assert model.decode(latents).shape == audio.shape
    with pytest.raises(ConfigError, match="a hyperencoder is not a standard autoencoder"):
        create_autoencoder_from_config(config)
    with pytest.raises(ConfigError, match="a autoencoder is not a hyperencoder"):
        create_hyperencoder_from_config(tiny)
