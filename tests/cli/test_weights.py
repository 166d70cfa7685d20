"""Commands open every layout, say what they loaded, and `zoo pull` checks it."""

from __future__ import annotations

import json
from pathlib import Path

import soundfile
import torch
from safetensors.torch import save_file

from tests.checkpoints.test_layouts import prefixed, random_model
from tests.conftest import TINY


def wrapped(folder: str) -> Path:
    """A training checkpoint of upstream with its config, and a file `a.wav`."""
    soundfile.write("a.wav", 0.1 * torch.rand(900, 2).numpy(), 16000)
    Path(folder).mkdir()
    (Path(folder) / "model_config.json").write_text(json.dumps(TINY))
    state = prefixed("autoencoder.", random_model(0))
    state |= prefixed("autoencoder_ema.ema_model.", random_model(1))
    torch.save({"state_dict": state}, Path(folder) / "model.ckpt")
    return Path(folder)


def test_commands_take_folders_and_say_what_they_loaded(call):
    folder = wrapped("theirs")
    count = len(random_model().state_dict())
    for command in (("encode", "a.wav", "-o", "a.safetensors"), ("reconstruct", "a.wav")):
        code, _, err = call(*command, "--model", folder)
        assert code == 0
        assert f"zoo: using theirs/model.ckpt (stable-audio-tools training checkpoint, averaged " \
               f"weights): {count} keys matched\n" in err  # fmt: skip
    code, _, err = call("decode", "a.safetensors", "--model", folder, "--weights", "online")
    assert (code, "latents of another model" in err or "fingerprint" in err) == (2, True)
    code, out, _ = call("evaluate", folder, "a.wav", "--json", "--weights", "online")
    assert (code, len(json.loads(out)["files"])) == (0, 1)


def test_partial(call):
    wrapped("theirs")
    Path("tiny.json").write_text(json.dumps(TINY))
    state = random_model().state_dict()
    missing = [key for key in state if key.startswith("decoder.layers.0.")]
    save_file({key: state[key] for key in state if key not in missing}, "part.safetensors")
    command = ("encode", "a.wav", "-o", "b.safetensors", "--config", "tiny.json")
    code, _, err = call(*command, "--model", "part.safetensors")
    assert (code, "--partial" in err) == (2, True)
    assert all(f"missing {key}:" in err for key in missing)
    code, _, err = call(*command, "--model", "part.safetensors", "--partial")
    assert code == 0
    assert f"{len(missing)} missing (" in err


def test_pull_says_what_a_model_is(call):
    folder = wrapped("theirs")
    code, out, err = call("pull", folder)
    assert (code, err) == (0, "")
    path, report, facts = out.splitlines()
    assert path == "theirs/model.ckpt"
    assert report.endswith(f"averaged weights: {len(random_model().state_dict())} keys matched")
    assert facts == "audio 2 channels at 16000 Hz, latents 3 at 2000.00 Hz"
    save_file(random_model().state_dict(), "bare.safetensors")
    for source, message in (
        ("bare.safetensors", "holds no config"),
        ("nowhere", "nowhere: no such file or folder"),
        ("runs/gone", "runs/gone: no such file or folder"),
        ("some/where", "HF_HUB_OFFLINE is set"),
        ("dac_44", "did you mean 'dac_44k'"),
        ("oobleck_44k", "config without weights"),
    ):
        code, out, err = call("pull", source)
        assert (code, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1


def test_a_note_of_the_config_is_told(call, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.config.library.folder", lambda kind: tmp_path / "configs")
    (tmp_path / "configs").mkdir()
    published = {"file": "mine.safetensors", "note": "made of straw", "licence": "MIT"}
    (tmp_path / "configs" / "mine.json").write_text(json.dumps({**TINY, "published": published}))
    save_file(random_model().state_dict(), tmp_path / "configs" / "mine.safetensors")
    soundfile.write("a.wav", 0.1 * torch.rand(900, 2).numpy(), 16000)
    code, _, err = call("encode", "a.wav", "-o", "b.safetensors", "--model", "mine")
    assert (code, "zoo: note: made of straw" in err) == (0, True)
    code, out, _ = call("pull", "mine")
    assert out.splitlines()[-2:] == ["licence of the weights: MIT", "note: made of straw"]
    code, out, _ = call("list", "models")
    assert out.split()[-7:] == ["mine", "16000", "2", "8", "3", "vae", "yes"]
