"""The calls of AudioAutoencoder."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.examples import random_dac, random_oobleck, random_seanet
from tests.oracle import import_upstream


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    return zoo.from_config(tiny)


@torch.no_grad()
@pytest.mark.parametrize("samples", [1, 5, 8, 9, 63, 64])
def test_any_length(model, samples):
    latents = model.encode(torch.randn(3, 2, samples))
    assert latents.shape == (3, 3, -(-samples // 8))
    assert model.decode(latents).shape == (3, 2, latents.shape[-1] * 8)
    assert model(torch.randn(1, 2, samples)).shape == (1, 2, samples)


CHUNKED: Counter[str] = Counter()
KINDS = {
    "oobleck": partial(random_oobleck, strides=(1, 2, 3, 4)),
    "dac": partial(random_dac, strides=(1, 2, 3, 4)),
    "seanet": partial(random_seanet, ratios=(1, 2, 3, 4), finite=True),
}


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 50),
    short=st.integers(0, 30),
    chunk=st.integers(1, 60),
)
def test_chunked_is_unchunked(kind, seed, frames, short, chunk):
    torch.manual_seed(seed)
    # In float64: a norm over two channels may magnify rounding without end.
    model = zoo.from_config(KINDS[kind](random.Random(seed))).double()
    samples = max(1, frames * model.downsampling_ratio - short)
    audio = torch.randn(1, model.io_channels, samples, dtype=torch.float64)
    latents = model.encode(audio)
    given_latents = model.encode_audio(audio, chunked=True, chunk_size=chunk)
    assert (given_latents - latents).abs().max() < 1e-8 * max(1.0, float(latents.abs().max()))
    if getattr(model.bottleneck, "noise_augment_dim", 0) == 0:
        decoded = model.decode(latents)
        given_audio = model.decode_audio(latents, chunked=True, chunk_size=chunk)
        peak = max(1.0, float(decoded.abs().max()))
        assert (given_audio - decoded).abs().max() < 1e-8 * peak
    CHUNKED[kind] += 1


@torch.no_grad()
@pytest.mark.parametrize("kind", ["oobleck", "dac"])
@pytest.mark.parametrize("seed", range(5))
def test_chunked_is_unchunked_in_float32(kind, seed):
    torch.manual_seed(seed)
    model = zoo.from_config(KINDS[kind](random.Random(seed)))
    audio = torch.randn(1, model.io_channels, 40 * model.downsampling_ratio - 3)
    latents = model.encode(audio)
    given = model.encode_audio(audio, chunked=True, chunk_size=7)
    assert (given - latents).abs().max() < 1e-5 * max(1.0, float(latents.abs().max()))
    decoded = model.decode(latents)
    given = model.decode_audio(latents, chunked=True, chunk_size=7)
    assert (given - decoded).abs().max() < 1e-5 * max(1.0, float(decoded.abs().max()))


def test_how_many_chunked_ran():
    assert min(CHUNKED[kind] for kind in KINDS) >= 40


@torch.no_grad()
@pytest.mark.parametrize("changes", [{"norm": "time_group_norm"}, {"pad_mode": "circular"}])
def test_what_can_not_be_chunked_runs_whole(changes):
    config = random_seanet(random.Random(0), finite=True)
    for part in ("encoder", "decoder"):
        config["model"][part]["config"].update(causal=False, **changes)
        config["model"][part]["config"].pop("trim_right_ratio", None)
    model = zoo.from_config(config)
    with pytest.raises(NotImplementedError):
        _ = model.encoder_context
    audio = torch.randn(1, model.io_channels, 50 * model.downsampling_ratio)
    latents = model.encode(audio)
    assert torch.equal(model.encode_audio(audio, chunked=True, chunk_size=4, overlap=2), latents)
    chunked = model.decode_audio(latents, chunked=True, chunk_size=4, overlap=2)
    assert torch.equal(chunked, model.decode(latents))


@torch.no_grad()
def test_chunked_keeps_every_option(model):
    audio = torch.randn(2, 2, 400)
    encoded, info = model.encode_audio(
        audio,
        chunked=True,
        chunk_size=7,
        skip_bottleneck=True,
        return_info=True,
        iterate_batch=True,
    )
    assert encoded.shape == (2, 6, 50)
    torch.testing.assert_close(encoded, model.encode(audio, skip_bottleneck=True))
    assert torch.equal(info["pre_bottleneck_latents"], encoded)
    wide = model.encode_audio(audio, chunked=True, chunk_size=7, overlap=1000)
    torch.testing.assert_close(wide, model.encode(audio))


@torch.no_grad()
def test_one_by_one_is_the_batch(model):
    audio = torch.randn(3, 2, 64)
    latents = model.encode(audio)
    torch.testing.assert_close(model.encode(audio, iterate_batch=True), latents)
    torch.testing.assert_close(
        model.decode(latents, iterate_batch=True), model.decode(latents), atol=1e-6, rtol=1e-5
    )


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_preprocessing_equals_upstream(tiny, channels):
    # upstream: a stereo clip for a model with 6 channels stays stereo.
    for part, key in (("encoder", "in_channels"), ("decoder", "out_channels")):
        tiny["model"][part]["config"][key] = channels
    tiny["model"]["io_channels"] = channels
    ours = zoo.from_config(tiny)
    theirs = zoo.from_config(tiny, engine="stable-audio-tools")
    clips, rates = (
        [torch.randn(2, 999), torch.randn(1, 700), torch.randn(500)],
        [8000, 16000, 48000],
    )
    given = ours.preprocess_audio_list_for_encoder(clips, rates)
    assert given.shape == (3, channels, 2000)
    if channels <= 2:
        expected = theirs.preprocess_audio_list_for_encoder(clips, rates)
        torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-5)
    assert ours.preprocess_audio_for_encoder(clips[0], 16000).shape == (1, channels, 1000)


@pytest.mark.parametrize("clips", [[], [torch.zeros(2, 3, 4)]])
def test_preprocessing_refuses_what_is_no_clip(model, clips):
    with pytest.raises(ValueError):
        model.preprocess_audio_list_for_encoder(clips, 16000)


def test_decode_tokens_needs_tokens(model):
    with pytest.raises(TypeError, match="discrete"):
        model.decode_tokens(torch.zeros(1, 1, 4, dtype=torch.long))


def patched(tiny, enable_grad: bool):
    tiny["model"]["encoder"]["config"]["in_channels"] = 8
    tiny["model"]["decoder"]["config"]["out_channels"] = 8
    tiny["model"]["pretransform"] = {
        "type": "patched",
        "config": {"channels": 2, "patch_size": 4},
        "enable_grad": enable_grad,
    }
    tiny["model"]["downsampling_ratio"] = 32
    return tiny


@torch.no_grad()
def test_a_patched_model_equals_upstream_and_chunks(tiny):
    config = patched(tiny, enable_grad=False)
    ours = zoo.from_config(config)
    theirs = zoo.from_config(config, engine="stable-audio-tools")
    ours.load_state_dict(theirs.state_dict())
    audio = torch.randn(1, 2, 32 * 40)
    latents = ours.encode(audio)
    torch.testing.assert_close(
        ours.encode(audio, skip_bottleneck=True),
        theirs.encode(audio, skip_bottleneck=True),
        atol=1e-5,
        rtol=1e-5,
    )
    torch.testing.assert_close(ours.decode(latents), theirs.decode(latents), atol=1e-5, rtol=1e-5)
    for chunk in (1, 3, 16):
        torch.testing.assert_close(
            ours.encode_audio(audio, chunked=True, chunk_size=chunk), latents, atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(
            ours.decode_audio(latents, chunked=True, chunk_size=chunk),
            ours.decode(latents),
            atol=1e-5,
            rtol=1e-5,
        )


def test_gradients_flow_through_a_frozen_pretransform_that_stays_in_eval_mode(tiny):
    model = zoo.from_config(patched(tiny, enable_grad=False)).train()
    assert not model.pretransform.training
    model.decode(model.encode(torch.randn(1, 2, 64))).square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_soft_clip_and_requires_grad(tiny):
    tiny["model"]["decoder"]["soft_clip"] = True
    tiny["model"]["encoder"]["requires_grad"] = False
    model = zoo.from_config(tiny)
    with torch.no_grad():
        latents = torch.randn(1, 3, 4)
        torch.testing.assert_close(model.decode(latents), model.decoder(latents).tanh())
    assert not any(weight.requires_grad for weight in model.encoder.parameters())
    assert all(weight.requires_grad for weight in model.decoder.parameters())


@torch.no_grad()
def test_it_drops_into_upstreams_pretransform(model):
    pretransforms = import_upstream("stable_audio_tools.models.pretransforms")
    wrapped = pretransforms.AutoencoderPretransform(model, scale=2.0)
    assert (wrapped.downsampling_ratio, wrapped.encoded_channels) == (8, 3)
    audio = torch.randn(1, 2, 64)
    latents = wrapped.encode(audio)
    torch.testing.assert_close(latents, model.encode(audio) / 2)
    torch.testing.assert_close(wrapped.decode(latents), model.decode(latents * 2))
