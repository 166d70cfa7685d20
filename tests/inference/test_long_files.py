"""Files a block at a time against files as a whole."""

from __future__ import annotations

import pytest
import soundfile
import torch

import zoo
from tests.conftest import TINY
from zoo.data.audio_writer import AudioWriter
from zoo.data.files import read_audio, read_blocks, write_audio
from zoo.errors import AudioError, CheckpointError
from zoo.evaluation.long_files import measure_files
from zoo.evaluation.metrics import measure
from zoo.inference import codec as module
from zoo.models import memory


@pytest.fixture
def codec(monkeypatch):
    """A codec with memory for 16 frames, 128 samples of its own."""
    monkeypatch.setattr(memory, "free_bytes", lambda: 0)
    torch.manual_seed(0)
    return zoo.Codec(zoo.from_config(TINY), device="cpu")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_blocks_of_a_file_are_the_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, (torch.rand(70_001, 2) - 0.5).numpy(), 44100)
    whole = read_audio(path).values
    for size in (1000, 44100, 10**6):
        blocks = list(read_blocks(path, size))
        assert all(block.shape[-1] == size for block in blocks[:-1])
        assert torch.equal(torch.cat(blocks, -1), whole)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_long_file_is_encoded_and_decoded_as_a_whole(codec, tmp_path, rate, channels):
    path, back = tmp_path / "a.wav", tmp_path / "deep" / "b.wav"
    write_audio(path, torch.rand(channels, 5001) - 0.5, rate)
    latents, expected = codec.encode(path), codec.encode(read_audio(path))
    torch.testing.assert_close(latents.values, expected.values, atol=1e-5, rtol=1e-5)
    assert (latents.samples, latents.channels, latents.sample_rate) == (5001, channels, rate)
    codec.decode_file(latents, back)
    assert [file.name for file in back.parent.iterdir()] == ["b.wav"]
    torch.testing.assert_close(read_audio(back).values, codec.decode(latents), atol=1e-5, rtol=1e-5)


def test_only_long_files_are_read_in_blocks(codec, tmp_path, monkeypatch):
    read: list[int] = []
    original = module.encode_file
    monkeypatch.setattr(
        module, "encode_file", lambda *given: read.append(given[2].samples) or original(*given)
    )
    for samples in (128, 129):
        write_audio(tmp_path / "a.wav", torch.rand(1, samples) - 0.5, 16000)
        codec.encode(tmp_path / "a.wav")
    assert read == [129]


def test_blocks_are_as_long_as_memory_allows(codec, tmp_path, monkeypatch):
    write_audio(tmp_path / "a.wav", torch.rand(1, 3000) - 0.5, 8000)
    longest: list[int] = []
    original = module.StreamEncoder.push
    monkeypatch.setattr(
        module.StreamEncoder,
        "push",
        lambda stream, block: longest.append(block.shape[-1]) or original(stream, block),
    )
    codec.encode(tmp_path / "a.wav")
    # 16 frames of 8 samples at 16 kHz are 64 at 8 kHz.
    assert (max(longest), sum(longest)) == (64, 3000)


def test_bad_samples_far_into_a_file_are_named(codec, tmp_path):
    values = torch.zeros(3000, 1)
    values[2900] = float("nan")
    soundfile.write(tmp_path / "a.wav", values.numpy(), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a\.wav: holds NaN"):
        codec.encode(tmp_path / "a.wav")


def test_a_truncated_file_gives_what_there_is(codec, tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, torch.rand(1, 5000) - 0.5, 16000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:6000])
    assert codec.encode(path).samples == read_audio(path).values.shape[-1]


def test_a_diffusion_model_is_decoded_as_a_whole(tmp_path):
    from tests.shrunk import shrunk_autoencoder

    codec = zoo.Codec(zoo.from_config(shrunk_autoencoder("starter_dit_22k")), device="cpu")
    latents = codec.encode(torch.rand(2, 700) - 0.5)
    codec.decode_file(latents, tmp_path / "a.wav", steps=2, seed=1)
    expected = codec.decode(latents, steps=2, seed=1)
    assert torch.equal(read_audio(tmp_path / "a.wav").values, expected)


def test_nothing_is_left_of_a_file_that_failed(codec, tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("the old one")
    with pytest.raises(KeyError), AudioWriter(path, 8000, 1, 10) as writer:
        writer.write({}["no such block"])
    with pytest.raises(AudioError, match="NaN"), AudioWriter(path, 8000, 1, 10) as writer:
        writer.write(torch.full((1, 4), float("nan")))
    with pytest.raises(AudioError, match="2 channels"), AudioWriter(path, 8000, 2, 10) as writer:
        writer.write(torch.zeros(1, 4))
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]
    assert path.read_text() == "the old one"
    with pytest.raises(AudioError, match="suffixes"):
        codec.decode_file(codec.encode(torch.rand(1, 9)), tmp_path / "a.mp3")


def test_latents_of_another_model_are_not_decoded(codec, tmp_path):
    torch.manual_seed(1)
    other = zoo.Codec(zoo.from_config(TINY), device="cpu")
    with pytest.raises(CheckpointError, match=codec.fingerprint):
        other.decode_file(codec.encode(torch.rand(1, 300)), tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


def test_metrics_of_files_are_means_over_minutes(tmp_path, monkeypatch):
    from zoo.evaluation import long_files

    monkeypatch.setattr(long_files, "BLOCK_SECONDS", 1)
    clip = torch.rand(1, 12_000) - 0.5
    back = clip + torch.cat([torch.rand(1, 8000) / 9, torch.rand(1, 4000) / 3], -1)
    write_audio(tmp_path / "a.wav", clip, 8000)
    write_audio(tmp_path / "b.wav", back, 8000)
    given = measure_files(tmp_path / "b.wav", tmp_path / "a.wav")
    first = measure(back[:, :8000], clip[:, :8000], 8000)
    second = measure(back[:, 8000:], clip[:, 8000:], 8000)
    assert given.mel == pytest.approx((2 * first.mel + second.mel) / 3)
    assert given.si_sdr_db == pytest.approx((2 * first.si_sdr_db + second.si_sdr_db) / 3)
