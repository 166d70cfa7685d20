"""Every shipped network in chunks and blocks against the whole, and how memory is shared out."""

from __future__ import annotations

import random
from collections import Counter
from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import zoo
from tests.conftest import TINY
from tests.shrunk import CONFIGS, shrunk_autoencoder
from zoo.models import memory
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder

# A norm over all of time: never in pieces.
WHOLE = {"encodec_48k"}
NAMES = sorted({path.stem for path in CONFIGS.glob("*.json")} - WHOLE)
RAN: Counter[str] = Counter()
EXAMPLES = 10


@lru_cache(maxsize=1)
@torch.no_grad()
def model_of(name: str) -> Any:
    torch.manual_seed(0)
    model = zoo.from_config(shrunk_autoencoder(name))
    for weight in model.parameters():
        # Branches that start at nothing would hide what they see.
        weight.normal_(0, 0.3) if weight.abs().max() < 1e-4 else None
    for layer in getattr(getattr(model.bottleneck, "quantizer", None), "layers", ()):
        layer._codebook.embed.normal_()
        layer._codebook.initted.fill_(True)
    return model


def assert_near(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < 1e-5 * max(1.0, float(expected.abs().max()))


def in_blocks(stream, x: Tensor, rng: random.Random, longest: int) -> Tensor:
    pieces, seen = [], 0
    while seen < x.shape[-1]:
        size = rng.choice((0, 1, longest, rng.randint(1, longest)))
        pieces.append(stream.push(x[..., seen : seen + size]))
        seen += size
    return torch.cat([*pieces, stream.flush()], dim=-1)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 12),
    short=st.integers(0, 10_000),
    chunk=st.integers(1, 4),
)
def test_chunks_and_blocks_of_a_shipped_network_are_the_whole(name, seed, frames, short, chunk):
    model, rng = model_of(name), random.Random(seed)
    ratio = model.downsampling_ratio
    audio = torch.randn(1, model.in_channels, max(1, frames * ratio - short % ratio)) / 3
    encoded, info = model.encode(audio, skip_bottleneck=False, return_info=True)
    options = {"chunked": True, "chunk_size": chunk, "overlap": rng.choice((None, 0, 3))}
    given_latents, given_info = model.encode_audio(audio, return_info=True, **options)
    assert_near(given_info["pre_bottleneck_latents"], info["pre_bottleneck_latents"])
    assert_near(given_latents, encoded)
    if model.is_discrete:
        tokens = model.bottleneck.tokens_id
        assert torch.equal(given_info[tokens], info[tokens])
    blocks = in_blocks(model.stream_encoder(), audio, rng, chunk * ratio // 2)
    assert_near(blocks, encoded)
    RAN[name] += 1
    if isinstance(model, DiffusionAutoencoder):
        return
    decoded = model.decode(encoded)
    assert_near(model.decode_audio(encoded, **options), decoded)
    assert_near(in_blocks(model.stream_decoder(), encoded, rng, chunk), decoded)


def test_how_many_ran():
    assert len(NAMES) >= 16
    assert {name: RAN[name] for name in NAMES if RAN[name] < EXAMPLES} == {}


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_sees_all_of_time_runs_whole_and_has_no_streams(name):
    model = model_of(name)
    audio = torch.randn(1, model.in_channels, 4 * model.downsampling_ratio)
    for start in (model.stream_encoder, model.stream_decoder):
        with pytest.raises(NotImplementedError, match="a norm over time"):
            start()
    encoded = model.encode(audio)
    assert torch.equal(model.encode_audio(audio, chunked=True, chunk_size=1), encoded)
    decoded = model.decode(encoded)
    assert torch.equal(model.decode_audio(encoded, chunked=True, chunk_size=1), decoded)


@torch.no_grad()
@pytest.mark.parametrize("name", ["encodec_musicgen_32k", "oobleck_vae_44k", "taae_44k"])
def test_the_delay_is_kept_and_reached(name):
    model = model_of(name)
    ratio, frames = model.downsampling_ratio, 40
    encoder, decoder = model.stream_encoder(), model.stream_decoder()
    seen, given_frames, least = 0, 0, 10**9
    step = max(1, ratio // 16)
    for _ in range(frames * ratio // step):
        given_frames += encoder.push(torch.randn(1, model.in_channels, step)).shape[-1]
        seen += step
        assert given_frames >= (seen - encoder.delay) // ratio
        least = min(least, given_frames * ratio - seen)
    # Not more than the stated delay, and hardly less at worst.
    assert -least >= encoder.delay
    samples, worst = 0, 0
    for frame in range(1, frames + 1):
        samples += decoder.push(torch.randn(1, model.latent_dim, 1)).shape[-1]
        worst = max(worst, frame * ratio - samples)
    assert worst == decoder.delay


@torch.no_grad()
def test_bottleneck_noise_is_drawn_once_for_all_chunks():
    model = zoo.from_config(TINY)
    audio = torch.randn(2, 2, 400)
    draws = [
        call(audio, sample=True, generator=torch.Generator().manual_seed(3))
        for call in (model.encode, lambda x, **o: model.encode_audio(x, True, None, 5, **o))
    ]
    assert_near(draws[1], draws[0])
    one = model.encode_audio(audio, chunked=True, chunk_size=5, iterate_batch=True)
    assert_near(one, model.encode(audio))


def test_chunks_keep_gradients_and_streams_do_not():
    model = zoo.from_config(TINY)
    audio = torch.randn(1, 2, 200, requires_grad=True)
    (whole,) = torch.autograd.grad(model.encode(audio).square().sum(), audio)
    chunked = model.encode_audio(audio, chunked=True, chunk_size=4)
    (given_gradient,) = torch.autograd.grad(chunked.square().sum(), audio)
    torch.testing.assert_close(given_gradient, whole, atol=1e-5, rtol=1e-4)
    assert not model.stream_encoder().push(audio).requires_grad


def test_a_stream_refuses_what_it_can_not_take():
    model = zoo.from_config(TINY)
    stream = model.stream_encoder()
    with pytest.raises(ValueError, match="nothing was pushed"):
        stream.flush()
    assert stream.push(torch.zeros(1, 2, 0)).shape == (1, 3, 0)
    with pytest.raises(ValueError, match="as before"):
        stream.push(torch.zeros(1, 1, 5))
    with pytest.raises(ValueError, match="channels, length"):
        stream.push(torch.zeros(2, 5))
    stream.push(torch.zeros(1, 2, 5))
    assert stream.flush().shape[-1] == 1
    for call in (stream.flush, lambda: stream.push(torch.zeros(1, 2, 5))):
        with pytest.raises(ValueError, match="flushed"):
            call()
    with pytest.raises(ValueError, match="chunk_size is 0"):
        model.encode_audio(torch.zeros(1, 2, 9), chunked=True, chunk_size=0)


def test_a_diffusion_decoder_does_not_stream():
    with pytest.raises(NotImplementedError, match="in steps"):
        model_of("starter_dit_22k").stream_decoder()


@torch.no_grad()
def test_the_largest_result_is_found():
    model = zoo.from_config(TINY)
    # Two activations and a convolution of 4 channels at the rate of the audio, in float32.
    assert memory.largest_result(model._encode, model, torch.zeros(1, 2, 80)) == 4 * 80 * 4
    assert memory.largest_result(model._decode, model, torch.zeros(1, 3, 10)) == 4 * 80 * 4


@pytest.mark.parametrize(
    ("free", "bytes_per_frame", "context", "frames"),
    [
        (64 * 2**30, 2**18, 3, 64),
        (64 * 2**30, 2**20, 3, 16),
        (64 * 2**30, 1, 3, 1024),
        # Attention over a wide window takes more frames, as far as there is memory.
        (64 * 2**30, 2**20, 143, 128),
        (2**30, 2**20, 143, 32),
        (0, 2**20, 143, 16),
    ],
)
def test_frames_follow_the_free_memory(monkeypatch, free, bytes_per_frame, context, frames):
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    assert memory.frames_at_once(bytes_per_frame, context, torch.device("cpu")) == frames


def test_a_container_has_the_memory_that_its_limit_leaves(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 5000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_bytes() == 5000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert memory.free_bytes() == 5000 * 1024
    (tmp_path / "memory.max").write_text("1100\n")
    assert memory.free_bytes() == 1000
