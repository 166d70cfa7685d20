"""`zoo.evaluate` against the codec's own output, measured by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

import zoo
from tests.evaluation.test_metrics import si_sdr_by_hand
from zoo.data.files import write_audio
from zoo.errors import AudioError, ConfigError
from zoo.evaluation import evaluate
from zoo.evaluation.metrics import mel_distance, stft_distance


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two sounds of other rates and channels, and a file that is none."""
    generator = torch.Generator().manual_seed(0)
    (tmp_path / "deep").mkdir()
    for name, rate, channels in (("a.wav", 22050, 2), ("deep/b.flac", 8000, 1)):
        values = 0.1 * torch.randn(rate, channels, generator=generator).clamp(-5, 5)
        soundfile.write(tmp_path / name, values.numpy(), rate)
    (tmp_path / "broken.wav").write_text("no audio")
    return tmp_path


def test_metrics_are_those_of_the_codecs_own_output(folder, tiny):
    codec = zoo.Codec(zoo.from_config(tiny), device="cpu")
    report = evaluate(codec, folder)
    assert [Path(file.path).name for file in report.files] == ["a.wav", "b.flac"]
    assert [Path(file.path).name for file in report.broken] == ["broken.wav"]
    for file in report.files:
        clip = zoo.read_audio(file.path)
        output = codec.reconstruct(clip)
        assert file.seconds == 1
        assert file.metrics.si_sdr_db == pytest.approx(
            si_sdr_by_hand(output, clip.values), abs=1e-6
        )
        mel = mel_distance(output[None], clip.values[None], clip.sample_rate)
        assert file.metrics.mel == pytest.approx(float(mel))
        assert file.metrics.stft == pytest.approx(
            float(stft_distance(output[None], clip.values[None]))
        )
        assert file.encode_seconds > 0
        assert file.decode_seconds > 0
    values = [file.metrics.si_sdr_db for file in report.files]
    spread = report.summary["si_sdr_db"]
    assert spread.mean == pytest.approx(sum(values) / 2)
    assert spread.std == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2))
    spent = sum(file.encode_seconds for file in report.files)
    assert report.encode_x_realtime == pytest.approx(2 / spent)
    assert (report.frames_per_second, report.values_per_second) == (2000, 6000)
    assert report.bits_per_second is None
    assert json.loads(json.dumps(report.to_dict()))["summary"]["mel"]["files"] == 2


def test_bit_rate_of_tokens(folder, tiny):
    tiny["model"]["encoder"]["config"]["latent_dim"] = 3
    tiny["model"]["bottleneck"] = {
        "type": "rvq",
        "config": {"dim": 3, "num_quantizers": 4, "codebook_size": 32},
    }
    report = evaluate(zoo.Codec(zoo.from_config(tiny)), folder / "a.wav")
    # 2000 frames of 4 tokens of 5 bits.
    assert report.bits_per_second == 40000
    assert report.values_per_second == 8000


def test_only_the_first_seconds(folder, tiny):
    codec = zoo.Codec(zoo.from_config(tiny))
    (file,) = evaluate(codec, [folder / "a.wav", folder / "a.wav"], seconds=0.25).files
    clip = zoo.read_audio(folder / "a.wav", samples=round(0.25 * 22050))
    output = codec.reconstruct(clip)
    assert file.metrics.si_sdr_db == pytest.approx(si_sdr_by_hand(output, clip.values), abs=1e-6)
    with pytest.raises(ConfigError, match="greater than 0"):
        evaluate(codec, folder, seconds=0)


def test_a_long_file_is_never_in_memory_as_a_whole(folder, tiny, monkeypatch):
    path = folder / "long.wav"
    values = 0.1 * torch.randn(5000, 1, generator=torch.Generator().manual_seed(1))
    soundfile.write(path, values.clamp(-5, 5).numpy(), 2000)
    codec = zoo.Codec(zoo.from_config(tiny), device="cpu")
    clip = zoo.read_audio(path)
    output = codec.reconstruct(clip)
    lengths = []

    def only_the_start(path, samples=None, read=zoo.read_audio):
        assert samples is not None
        lengths.append(samples)
        return read(path, samples=samples)

    for module in ("files", "long_files"):
        monkeypatch.setattr(f"zoo.evaluation.{module}.BLOCK_SECONDS", 1)
    monkeypatch.setattr("zoo.evaluation.files.read_audio", only_the_start)
    monkeypatch.setattr("zoo.inference.codec.read_audio", None)
    monkeypatch.setattr(codec.model, "frames_to_encode", lambda *_: 2000)
    (file,) = evaluate(codec, path).files
    assert lengths == [2000] and file.seconds == 2.5
    # Two blocks and a half one.
    parts = [
        float(mel_distance(one[None], two[None], 2000))
        for one, two in zip(output.split(2000, -1), clip.values.split(2000, -1), strict=True)
    ]
    mean = (parts[0] + parts[1] + parts[2] / 2) / 2.5
    assert file.metrics.mel == pytest.approx(mean, rel=1e-4)

    codec.decode_file = lambda _, path: write_audio(path, clip.values * math.nan, 2000)
    (broken,) = evaluate(codec, path).broken
    assert broken.reason == "not written, since the audio holds NaN or infinite samples"


def test_what_one_file_does_to_the_model_is_reported(folder, tiny):
    codec = zoo.Codec(zoo.from_config(tiny))
    decode, calls = codec.decode, []

    def failing(latents, **options):
        calls.append(latents)
        # The first call warms up.
        if len(calls) == 2:
            raise RuntimeError("out of memory\nand more")
        return decode(latents, **options) * (math.nan if len(calls) == 3 else 1)

    codec.decode = failing
    soundfile.write(folder / "c.wav", torch.ones(100, 1).numpy() * 0.1, 16000)
    report = evaluate(codec, folder)
    reasons = {Path(file.path).name: file.reason for file in report.broken}
    assert reasons["a.wav"] == "out of memory"
    assert "NaN" in reasons["c.wav"]
    assert [Path(file.path).name for file in report.files] == ["b.flac"]
    assert report.summary["mel"].std is None


def test_nothing_to_evaluate(tmp_path, tiny):
    codec = zoo.Codec(zoo.from_config(tiny))
    with pytest.raises(AudioError, match="no audio files"):
        evaluate(codec, tmp_path)
    with pytest.raises(AudioError, match="nothing to evaluate"):
        evaluate(codec, [])


PEAKS = """
import torch
from zoo.evaluation.memory import peak_memory
with peak_memory(torch.device("cpu")) as before:
    pass
with peak_memory(torch.device("cpu")) as peak:
    torch.ones(2**25)
print(peak.bytes - before.bytes)
"""


def test_peak_memory_sees_what_is_gone_again():
    # In a process of its own: this one may give back what earlier tests took.
    done = subprocess.run([sys.executable, "-c", PEAKS], check=True, capture_output=True, text=True)
    # 128 MiB, but for what is counted late.
    assert int(done.stdout) > 100 * 2**20
