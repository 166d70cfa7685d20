"""Files that are no good audio, or odd audio: handled or named, and none stops a batch."""

from __future__ import annotations

import numpy as np
import soundfile
import torch

import zoo
from tests.data.material import waves
from tests.inference.batch.material import folder_of_audio, reasons, tiny_codec
from zoo.inference.batch.run import Options
from zoo.inference.latents import Latents

INLINE = Options(workers=0)


def test_a_cut_wav_is_taken_as_far_as_it_goes_and_named(tmp_path, capsys):
    audio = folder_of_audio(tmp_path / "in", 3)
    content = (audio / "1" / "001.wav").read_bytes()
    (audio / "1" / "001.wav").write_bytes(content[: len(content) // 2])
    made = zoo.encode_folder(tiny_codec(), audio, tmp_path / "out", options=INLINE)
    assert (made.files, made.failures) == (3, ())
    err = capsys.readouterr().err
    assert err.count(".wav") == 1 and "their headers promise more: " in err and "001.wav" in err


def test_bad_input_is_handled_or_named_and_stops_nothing(tmp_path):
    audio, out = tmp_path / "in", tmp_path / "out"
    good = {
        "silent.wav": np.zeros((4000, 2)),
        "eight_channels.wav": waves(4000, 8),
        "ten_samples.wav": waves(10, 1),
        "loud.wav": 4 * waves(4000, 1),
        "one_sample.flac": waves(1, 1),
    }
    audio.mkdir()
    for name, values in good.items():
        soundfile.write(audio / name, values, 16000, "PCM_16" if "flac" in name else "FLOAT")
    soundfile.write(audio / "eight_khz.wav", waves(4000, 1), 8000)
    soundfile.write(audio / "a_wav.mp3", waves(4000, 1), 16000, format="WAV")
    (audio / "empty.wav").write_bytes(b"")
    soundfile.write(audio / "no_samples.wav", np.zeros((0, 1)), 16000)
    (audio / "text.wav").write_text("hello")
    broken = waves(4000, 1)
    broken[7] = np.nan
    soundfile.write(audio / "nan.wav", broken, 16000, "FLOAT")
    broken[7] = np.inf
    soundfile.write(audio / "inf.wav", broken, 16000, "FLOAT")
    content = (audio / "eight_khz.wav").read_bytes()
    (audio / "no_data.wav").write_bytes(content[:44])
    (audio / "loop.wav").symlink_to("loop.wav")
    (audio / "folder.wav").mkdir()
    made = zoo.encode_folder(tiny_codec(), audio, out, options=Options(workers=1))
    assert made.files == 7
    for name in (*good, "eight_khz.wav", "a_wav.mp3"):
        latents = Latents.load((out / name).with_suffix(".safetensors"))
        assert torch.isfinite(latents.values).all()
    found = reasons(out)
    for name, words in {
        "empty.wav": "empty",
        "no_samples.wav": "no samples",
        "text.wav": "not readable as audio",
        "nan.wav": "NaN",
        "inf.wav": "infinite",
        "no_data.wav": "samples",
        "loop.wav": "symbolic links",
    }.items():
        assert words in found.pop(name)
    assert found == {}
    assert made.failures_file == out / "failures.jsonl"
    # Mended files are made, and the list goes.
    for name in reasons(out):
        (audio / name).unlink()
    assert zoo.encode_folder(tiny_codec(), audio, out, options=INLINE).skipped == 7
    assert not (out / "failures.jsonl").exists()
