"""Audio in blocks, at any rate and with any channels, against the codec on the whole clip."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import zoo
from tests.conftest import TINY
from zoo.data.resample import resample, resample_stream
from zoo.errors import AudioError

RAN: list[int] = []
RATES = (8000, 11025, 16000, 22050, 44100, 48000)


@pytest.fixture(scope="module")
def codec():
    torch.manual_seed(0)
    return zoo.Codec(zoo.from_config(TINY), device="cpu")


def in_blocks(stream, x: Tensor, rng: random.Random, longest: int) -> Tensor:
    pieces, seen = [], 0
    while seen < x.shape[-1]:
        size = rng.choice((0, 1, longest, rng.randint(1, longest)))
        pieces.append(stream.push(x[:, seen : seen + size]))
        seen += size
    pieces.append(stream.flush())
    return torch.cat(pieces, dim=-1)


def assert_near(result: Tensor, expected: Tensor) -> None:
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert (result - expected).abs().max() < 1e-5 * max(1.0, float(expected.abs().max()))


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 6),
    samples=st.integers(1, 4000),
    rate=st.sampled_from(RATES),
    longest=st.integers(1, 1500),
    seed=st.integers(0, 10_000),
)
def test_blocks_give_what_the_clip_gives(codec, channels, samples, rate, longest, seed):
    rng = random.Random(seed)
    longest = max(longest, samples // 50)
    audio = torch.rand(channels, samples) - 0.5
    latents = codec.encode(audio, rate)
    encoder = codec.stream_encoder(rate, channels)
    assert_near(in_blocks(encoder, audio, rng, longest), latents.values)
    assert encoder.samples == samples
    decoder = codec.stream_decoder(rate, channels, samples)
    decoded = in_blocks(decoder, latents.values, rng, max(1, longest // 8))
    assert_near(decoded, codec.decode(latents))
    assert decoder.frames == latents.values.shape[-1]
    RAN.append(samples)


def test_how_many_ran():
    assert len(RAN) >= 60


@settings(max_examples=40, deadline=None)
@given(
    from_rate=st.sampled_from((*RATES, 44056)),
    to_rate=st.sampled_from((*RATES, 44056)),
    samples=st.integers(1, 3000),
    seed=st.integers(0, 10_000),
)
def test_resampling_streams(from_rate, to_rate, samples, seed):
    rng, stream = random.Random(seed), resample_stream(from_rate, to_rate)
    x = torch.randn(1, 2, samples)
    cuts = sorted(rng.randint(0, samples) for _ in range(5))
    pieces = [stream.advance(part) for part in x.tensor_split(cuts, -1) if part.shape[-1]]
    pieces.append(stream.advance(None, last=True))
    result = torch.cat([piece for piece in pieces if piece is not None], -1)
    expected = resample(x, from_rate, to_rate)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < 1e-5


@pytest.mark.parametrize("rate", RATES)
def test_the_stated_delay_is_kept(codec, rate):
    encoder, decoder = codec.stream_encoder(rate, 1), codec.stream_decoder(rate, 1)
    frames = samples = lateness = 0
    for seen in range(7, 4000, 7):
        frames += encoder.push(torch.randn(1, 7)).shape[-1]
        assert frames >= (seen - encoder.delay) * 16000 // (rate * 8)
        lateness = max(lateness, seen - frames * 8 * rate / 16000)
    # The delay, the rest of a frame and of a block.
    assert lateness <= encoder.delay + 8 * rate / 16000 + 7
    lateness = 0
    for frame in range(1, 300):
        samples += decoder.push(torch.randn(3, 1)).shape[-1]
        wanted = frame * 8 * rate // 16000
        assert samples >= wanted - decoder.delay
        lateness = max(lateness, wanted - samples)
    assert lateness >= decoder.delay - 3 - 2 * rate / 16000


def test_without_a_length_all_frames_are_decoded(codec):
    latents = codec.encode(torch.rand(2, 801) - 0.5)
    decoder = codec.stream_decoder()
    audio = torch.cat([decoder.push(latents.values), decoder.flush()], -1)
    assert audio.shape == (2, 808)
    assert_near(audio[:, :801], codec.decode(latents))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (torch.full((2, 3), float("nan")), "NaN"),
        (torch.full((2, 3), float("inf")), "infinite"),
        (torch.zeros(1, 3), "2 channels"),
        (torch.zeros(1, 2, 3), "2 channels"),
        (torch.zeros(2, 3, dtype=torch.int16), "decimals"),
    ],
)
def test_bad_blocks_are_refused_and_leave_the_stream_as_it_was(codec, block, message):
    encoder = codec.stream_encoder()
    first = encoder.push(torch.ones(2, 100))
    with pytest.raises(AudioError, match=message):
        encoder.push(block)
    whole = torch.cat([first, encoder.push(torch.ones(2, 10)), encoder.flush()], -1)
    assert_near(whole, codec.encode(torch.ones(2, 110)).values)


def test_bad_latents_are_refused(codec):
    decoder = codec.stream_decoder()
    for block in (torch.zeros(2, 3), torch.zeros(3), torch.zeros(3, 2).long()):
        with pytest.raises(AudioError, match="3 decimals"):
            decoder.push(block)
    with pytest.raises(AudioError, match="NaN"):
        decoder.push(torch.full((3, 1), float("nan")))


def test_a_stream_ends(codec):
    for stream, channels in ((codec.stream_encoder(), 2), (codec.stream_decoder(), 3)):
        with pytest.raises(AudioError, match="nothing was pushed"):
            stream.flush()
        assert stream.push(torch.zeros(channels, 0)).shape[-1] == 0
        stream.push(torch.zeros(channels, 4))
        stream.flush()
        for call in (stream.flush, lambda s=stream, c=channels: s.push(torch.zeros(c, 4))):
            with pytest.raises(AudioError, match="was flushed"):
                call()
    with pytest.raises(AudioError, match="0 Hz"):
        codec.stream_encoder(0)


def test_another_engine_has_no_streams():
    model = zoo.from_config(TINY, engine="stable-audio-tools")
    with pytest.raises(NotImplementedError, match="no streams"):
        zoo.Codec(model, device="cpu").stream_encoder()


def test_half_precision():
    torch.manual_seed(0)
    half = zoo.Codec(zoo.from_config(TINY).to(torch.bfloat16), device="cpu")
    encoder, decoder = half.stream_encoder(), half.stream_decoder()
    values = torch.cat([encoder.push(torch.rand(2, 99)), encoder.flush()], -1)
    assert values.dtype == torch.bfloat16
    assert torch.cat([decoder.push(values), decoder.flush()], -1).dtype == torch.float32
