"""Folders in, folders out: each clip as it is alone, each file once, nothing overwritten."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
import soundfile
import torch

import zoo
from tests.data.material import waves, write_waves
from tests.inference.batch.material import FSQ, folder_of_audio, reasons, tiny_codec
from zoo.errors import AudioError, CheckpointError, ZooError
from zoo.inference.batch import jobs
from zoo.inference.batch.readers import AudioReader
from zoo.inference.batch.run import Options
from zoo.inference.latents import Latents

INLINE = Options(workers=0)


def files(folder, suffix: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))


@pytest.mark.parametrize("bottleneck", [None, FSQ], ids=["vae", "fsq"])
def test_there_and_back_each_clip_is_as_it_is_alone(tmp_path, bottleneck):
    audio, codec = folder_of_audio(tmp_path / "in", 24), tiny_codec(bottleneck)
    options = Options(workers=1, batch_size=5)
    made = zoo.encode_folder(codec, audio, tmp_path / "out", options=options)
    assert (made.files, made.skipped, made.failures) == (24, 0, ())
    back = zoo.decode_folder(codec, tmp_path / "out", tmp_path / "back", options=options)
    whole = zoo.reconstruct_folder(codec, audio, tmp_path / "whole", options=options)
    assert made.seconds == back.seconds == whole.seconds > 0
    names = files(audio, ".wav")
    assert names == files(tmp_path / "back", ".wav") == files(tmp_path / "whole", ".wav")
    for name in names:
        expected = codec.encode(audio / name)
        found = Latents.load((tmp_path / "out" / name).with_suffix(".safetensors"))
        for key, tensor in expected.tensors().items():
            torch.testing.assert_close(found.tensors()[key], tensor, atol=1e-5, rtol=0)
        for folder in ("back", "whole"):
            result = zoo.read_audio(tmp_path / folder / name)
            assert result.sample_rate == expected.sample_rate
            torch.testing.assert_close(result.values, codec.decode(expected), atol=1e-5, rtol=0)


def test_clips_are_batched_and_long_ones_streamed(tmp_path, monkeypatch):
    for number in range(6):
        write_waves(tmp_path / "in" / f"{number}.wav", 2000 - number % 2, 2, 16000, seed=number)
    write_waves(tmp_path / "in" / "long.wav", 90000, 2, 16000)
    monkeypatch.setattr("zoo.inference.batch.readers._MOST_SAMPLES", 100_000)
    monkeypatch.setattr(zoo.Codec, "_seconds", lambda self, frames: 1.0)
    codec, calls = tiny_codec(), []
    encode_batch = codec.encode_batch
    monkeypatch.setattr(
        codec,
        "encode_batch",
        lambda x, **k: (calls.append([y.shape for y in x]), encode_batch(x, **k))[1],
    )
    zoo.encode_folder(codec, tmp_path / "in", tmp_path / "out", options=INLINE)
    assert calls == [[(2, 2000)] * 6]
    found = Latents.load(tmp_path / "out" / "long.safetensors")
    expected = tiny_codec().model.encode(zoo.read_audio(tmp_path / "in" / "long.wav").values[None])
    torch.testing.assert_close(found.values, expected[0], atol=1e-5, rtol=0)


def test_clips_of_similar_length_are_batched_where_that_is_exact(tmp_path, monkeypatch):
    lengths = {f"{number}": 1500 + 40 * number for number in range(7)}
    lengths |= {"short": 60, "shorter": 30, "much longer": 9000}
    audio, codec = tmp_path / "in", tiny_codec()
    for number, (name, samples) in enumerate(lengths.items()):
        write_waves(audio / f"{name}.wav", samples, 2, 16000, seed=number)
    # As beside a GPU.
    for side in ("encoder", "decoder"):
        assert jobs._similar(codec, side) is None
    contexts = {
        side: sum(getattr(codec.model, f"{side}_context")) for side in ("encoder", "decoder")
    }
    monkeypatch.setattr(jobs, "_similar", lambda codec, side: contexts[side])
    calls, load = [], AudioReader.load
    monkeypatch.setattr(
        AudioReader, "load", lambda self, s: (calls.append(len(s)), load(self, s))[1]
    )
    zoo.encode_folder(codec, audio, tmp_path / "out", options=INLINE)
    assert sorted(calls) == [1, 1, 1, 7]
    zoo.decode_folder(codec, tmp_path / "out", tmp_path / "back", options=INLINE)
    for name in lengths:
        expected = codec.encode(audio / f"{name}.wav")
        found = Latents.load(tmp_path / "out" / f"{name}.safetensors")
        torch.testing.assert_close(found.values, expected.values, atol=1e-5, rtol=0)
        result = zoo.read_audio(tmp_path / "back" / f"{name}.wav").values
        torch.testing.assert_close(result, codec.decode(expected), atol=1e-5, rtol=0)


def test_what_is_done_is_skipped(tmp_path):
    audio, out, codec = folder_of_audio(tmp_path / "in", 6), tmp_path / "out", tiny_codec()

    def again(codec=codec, options=INLINE, **kind):
        summary = zoo.encode_folder(codec, audio, out, options=options, **kind)
        return summary.files, summary.skipped

    dry = zoo.encode_folder(codec, audio, out, options=replace(INLINE, dry_run=True))
    assert (dry.files, out.exists()) == (6, False)
    assert again() == (6, 0)
    assert again() == (0, 6)
    path = audio / "0" / "000.wav"
    times = path.stat()
    os.utime(path, ns=(1, 1))
    assert again() == (0, 6)
    soundfile.write(path, waves(1000, 1, seed=99), 16000)
    assert again() == (1, 5)
    # Another content with the old time is found by its hash alone.
    facts = path.stat()
    soundfile.write(path, waves(1000, 1, seed=98), 16000)
    os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    assert times.st_size == path.stat().st_size
    assert again() == (0, 6)
    assert again(options=replace(INLINE, verify=True)) == (1, 5)
    assert again(posterior=True) == (6, 0)
    assert again(posterior=True, half=True) == (6, 0)
    assert again(posterior=True, half=True) == (0, 6)
    torch.nn.init.normal_(codec.model.encoder.layers[0].bias)
    codec = zoo.Codec(codec.model, device="cpu")
    assert again(codec, posterior=True, half=True) == (6, 0)
    assert len(files(out, ".safetensors")) == 6


def test_audio_that_is_done_is_skipped_and_no_other_file_is_replaced(tmp_path):
    audio, out, codec = folder_of_audio(tmp_path / "in", 4), tmp_path / "out", tiny_codec()

    def again(folder=out):
        summary = zoo.reconstruct_folder(codec, audio, folder, options=INLINE)
        return summary.files, summary.skipped, len(summary.failures)

    assert again() == (4, 0, 0)
    assert again() == (0, 4, 0)
    (out / "0" / "000.wav").unlink()
    write_waves(audio / "1" / "001.wav", 500)
    # A line that was cut off by a kill is nothing.
    (ledger,) = out.glob(".zoo-audio-*")
    lines = sorted(ledger.read_text().splitlines(), key=lambda line: '"2/002"' in line)
    ledger.write_text("\n".join(lines)[:-20])
    assert again() == (2, 1, 1)
    before = (audio / "0" / "000.wav").read_bytes()
    assert again(audio) == (0, 0, 4)
    assert (audio / "0" / "000.wav").read_bytes() == before
    assert "was not written by this command" in reasons(audio)["000.wav"]


def test_places(tmp_path):
    audio, out, codec = tmp_path / "in", tmp_path / "in" / "out", tiny_codec()
    for name in ("a/x.wav", "a/x.flac", "a/y.wav", "b.c.wav", ".hidden/z.wav"):
        write_waves(audio / name, 300)
    (audio / "a" / "up").symlink_to(audio)
    for _ in range(2):
        done = zoo.reconstruct_folder(codec, audio, out, options=INLINE)
        assert files(out, ".wav") == ["a/x.flac.wav", "a/x.wav.wav", "a/y.wav", "b.c.wav"]
    assert (done.files, done.skipped) == (0, 4)
    (audio / "a" / "up").unlink()
    # Of several inputs, folders keep their names.
    write_waves(tmp_path / "more" / "a" / "y.wav", 300)
    inputs = [audio / "a", tmp_path / "more", audio / "b.c.wav", audio / "a" / "y.wav"]
    done = zoo.encode_folder(codec, inputs, tmp_path / "all", options=INLINE)
    assert files(tmp_path / "all", ".safetensors") == [
        "a/x.flac.safetensors",
        "a/x.wav.safetensors",
        "a/y.safetensors",
        "b.c.safetensors",
        "more/a/y.safetensors",
    ]
    assert done.failures == ()
    same = [audio / "a", tmp_path / "more" / "a"]
    done = zoo.encode_folder(codec, same, tmp_path / "same", options=INLINE)
    assert [failure.path for failure in done.failures] == [str(each / "y.wav") for each in same]
    with pytest.raises(AudioError, match="no such file"):
        zoo.encode_folder(codec, tmp_path / "missing", out)
    (tmp_path / "void").mkdir()
    with pytest.raises(AudioError, match="no files with"):
        zoo.encode_folder(codec, tmp_path / "void", out)


@pytest.mark.parametrize("form", ["safetensors", "webdataset", "stable-audio-tools"])
def test_latents_train_a_model(tmp_path, form):
    audio, out = folder_of_audio(tmp_path / "in", 8), tmp_path / "out"
    codec, posterior = tiny_codec(), form != "stable-audio-tools"
    zoo.encode_folder(codec, audio, out, format=form, posterior=posterior, options=INLINE)
    data = zoo.LatentDataModule(out, frames=50, batch_size=8, workers=0, normalize=True, draw=False)
    data.setup()
    (batch,) = data.train_dataloader()
    assert sorted(clip["name"] for clip in batch["clips"]) == [
        name.removesuffix(".wav") for name in files(audio, ".wav")
    ]
    for clip, values in zip(batch["clips"], batch["latents"], strict=True):
        whole = codec.encode(audio / f"{clip['name']}.wav").values
        crop = data.scale.normalize(whole[:, clip["start"] : clip["start"] + 50])
        torch.testing.assert_close(values, crop, atol=1e-5, rtol=0)
    other = "webdataset" if form == "safetensors" else "safetensors"
    with pytest.raises(CheckpointError, match=f"holds latents in the form '{form}'"):
        zoo.encode_folder(codec, audio, out, format=other)


@pytest.mark.parametrize("form", ["safetensors", "webdataset"])
def test_a_full_disk_stops_with_one_message_and_nothing_is_lost(tmp_path, monkeypatch, form):
    audio, out, codec = folder_of_audio(tmp_path / "in", 12), tmp_path / "out", tiny_codec()
    place = {"safetensors": "latent_files.write_whole", "webdataset": "webdataset.add_member"}[form]
    module, _, name = f"zoo.inference.batch.{place}".rpartition(".")
    real, calls = getattr(__import__(module, fromlist=[name]), name), []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) > 4:
            raise OSError(28, "No space left on device", str(out / "x"))
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.{name}", full)
        with pytest.raises(ZooError, match=r"out/.*: No space left on device; what is done stays"):
            zoo.encode_folder(codec, audio, out, format=form, options=INLINE)
    assert len(calls) == 5
    kept = len(files(out, ".safetensors"))
    assert kept == (4 if form == "safetensors" else 0)
    made = zoo.encode_folder(codec, audio, out, format=form, options=INLINE)
    assert (made.files, made.skipped, made.failures) == (12 - kept, kept, ())


def test_a_source_that_goes_meanwhile_is_a_failure(tmp_path, monkeypatch):
    audio, out, codec = folder_of_audio(tmp_path / "in", 4), tmp_path / "out", tiny_codec()
    plan = zoo.inference.batch.run.make_plan

    def then_gone(*arguments, **options):
        made = plan(*arguments, **options)
        shutil.rmtree(audio / "1")
        return made

    monkeypatch.setattr("zoo.inference.batch.run.make_plan", then_gone)
    done = zoo.encode_folder(codec, audio, out, options=INLINE)
    assert (done.files, len(done.failures), done.left) == (3, 1, 0)
    assert reasons(out) == {"001.wav": "no such file; check the path"}
