"""`zoo encode`, `decode` and `reconstruct` of folders: what is printed, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_encode import model_files
from tests.data.material import write_waves
from tests.inference.batch.material import folder_of_audio
from zoo.errors import ConfigError
from zoo.inference.latents import Latents


@pytest.fixture
def model(call):
    """Of a tiny VAE; the folder `in` holds five files."""
    folder_of_audio(Path("in"), 5)
    return *model_files({"type": "vae"}), "--workers", "0"


def test_there_and_back(call, model):
    code, out, err = call("encode", "in", "-o", "out", *model, "--half", "--batch-size", "2")
    assert (code, "out: 5 files done (0.0 minutes of audio, " in out) == (0, True)
    assert "using weights.safetensors" in err
    code, out, _ = call("encode", "in", "-o", "out", *model, "--half", "--json")
    facts = json.loads(out)
    assert (code, facts["files"], facts["skipped"], facts["failures"]) == (0, 0, 5, [])
    code, out, _ = call("decode", "out", "-o", "back", *model, "--format", "flac")
    assert (code, len(list(Path("back").rglob("*.flac")))) == (0, 5)
    code, out, _ = call("reconstruct", "in", "-o", "whole", *model)
    assert (code, len(list(Path("whole").rglob("*.wav")))) == (0, 5)
    code, out, _ = call("reconstruct", "in", "-o", "whole", *model)
    assert "0 files done (0.0 minutes of audio), 5 were done before" in out


def test_failures_are_told_and_exit_with_1(call, model):
    Path("in/bad.wav").write_text("hello")
    code, out, err = call("encode", "in", "-o", "out", *model, "--dry-run")
    assert (code, "5 files to do" in out, "1 failed" in out) == (1, True, True)
    assert not Path("out").exists()
    code, out, err = call("encode", "in", "-o", "out", *model)
    assert (code, "1 failed, see " in out) == (1, True)
    assert "bad.wav: not readable as audio" in err
    (line,) = Path("out/failures.jsonl").read_text().splitlines()
    assert json.loads(line)["path"].endswith("in/bad.wav")


def test_without_a_model_that_of_the_latents_is_asked_for(call, model, monkeypatch):
    call("encode", "in", "-o", "out", *model)
    Path("out/0/0.safetensors").write_text("damaged")
    asked = []

    def open_codec(named, *others, made_by, compiled):
        asked.append((named, made_by))
        raise ConfigError("enough")

    monkeypatch.setattr("zoo.cli.folders.open_codec", open_codec)
    for options in ((), model):
        assert call("decode", "out", "-o", "back", *options)[0] == 2
    made_by = Latents.load("out/0/003.safetensors").fingerprint
    assert asked == [(None, made_by), ("weights.safetensors", None)]


def test_shards_of_several_inputs(call, model):
    write_waves(Path("b.wav"), 400)
    code, out, _ = call("encode", "in", "b.wav", "-o", "out", *model, "--format", "webdataset")
    assert (code, "6 files done" in out) == (0, True)
    assert [path.name for path in Path("out").glob("*.tar")] == ["shard-00000-000000.tar"]
    assert json.loads(Path("out/manifest.json").read_text())["clips"] == 6
    for number, given in enumerate(("out", "out/shard-00000-000000.tar")):
        code, out, _ = call("decode", given, "-o", f"back{number}", *model)
        assert (code, "6 files done" in out) == (0, True)
        assert Path(f"back{number}/b.wav").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("encode", "in"), "--output: name a folder"),
        (("encode", "in", "--dry-run"), "--output: name a folder"),
        (("encode", "in/0/000.wav", "--workers", "0"), "--workers: is for folders; name one"),
        (("encode", "in", "in", "-o", "x.safetensors"), "go to a folder, not to a file"),
        (("encode", "in", "-o", "weights.safetensors"), "go to a folder, not to a file"),
        (("encode", "missing", "in", "-o", "out"), "missing: no such file or folder"),
        (("encode", "in", "-o", "out", "--devices", "none"), "--devices none: is a number"),
        (("decode", "in", "-o", "out"), "no files with .safetensors, .tar"),
        (("decode", "in", "-o", "out", "--steps", "3"), "only for diffusion autoencoders"),
        (
            ("encode", "in", "-o", "out", "--posterior", "--format", "stable-audio-tools"),
            "no place for a posterior",
        ),
    ],
)
def test_what_cannot_be_is_said(call, model, arguments, message):
    code, _, err = call(*arguments, *model)
    assert (code, message in err) == (2, True)
