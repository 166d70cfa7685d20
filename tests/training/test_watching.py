"""Pictures, speed and loggers of a run, read back from what they wrote."""

from __future__ import annotations

import csv
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch

from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from zoo.config.resolve import resolve_recipe
from zoo.errors import ConfigError
from zoo.training.build import build_module
from zoo.training.callbacks.sensitivity import sensitivity
from zoo.training.run import train


def rows_with(folder: Path, column: str) -> list[dict[str, str]]:
    rows = csv.DictReader(next(folder.glob("logs/*/metrics.csv")).open())
    return [row for row in rows if row.get(column)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A run with a discriminator and TensorBoard, two steps, a loader that takes 0.2 s."""
    from zoo.data.crops import CropDataset

    patch = pytest.MonkeyPatch()
    read = CropDataset.__getitem__

    def slow(self, index):
        time.sleep(0.1)
        return read(self, index)

    patch.setattr(CropDataset, "__getitem__", slow)
    folder = tmp_path_factory.mktemp("watched")
    yield train(shrunk("oobleck_vae", folder, "logger.type=tensorboard", "examples.clips=1"))
    patch.undo()


def test_pictures_lie_beside_the_examples(watched):
    names = {path.name for path in (watched.folder / "examples/step-000002").iterdir()}
    assert names == {"latents.png", "sensitivity.png", "spectrogram.png"} | {
        f"clip-0-{side}.wav" for side in ("input", "output")
    }


def test_speed_and_latents_are_logged(watched):
    # A resumed or first step may have had its batch before it began.
    row = rows_with(watched.folder, "speed/realtime")[-1]
    realtime, updates = float(row["speed/realtime"]), float(row["speed/updates_per_second"])
    # Two crops of 8192 samples a step.
    assert realtime == pytest.approx(updates * 2 * 8192 / 44100)
    assert 0 < float(row["speed/data_wait"]) < 1
    # Two items of 0.1 s each are waited for in each step.
    assert float(row["speed/data_wait"]) / updates > 0.19
    row = rows_with(watched.folder, "latent/std")[0]
    assert float(row["latent/std"]) > 0
    assert 0 <= float(row["latent/dead"]) <= 1
    assert 1 <= float(row["latent/effective_dimensions"]) <= 64


def test_tensorboard_has_scalars_sounds_pictures_and_the_recipe(watched):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = next(watched.folder.glob("tensorboard/version_*"))
    events = EventAccumulator(str(folder), size_guidance={"audio": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {
        "examples/spectrogram",
        "examples/latents",
        "examples/sensitivity",
    }
    assert set(tags["audio"]) == {"examples/0-input", "examples/0-output"}
    sound = events.Audio("examples/0-input")[0]
    file = watched.folder / "examples/step-000002/clip-0-input.wav"
    written, rate = soundfile.read(file, always_2d=True)
    (watched.folder / "back.wav").write_bytes(sound.encoded_audio_string)
    heard, _ = soundfile.read(watched.folder / "back.wav", always_2d=True)
    assert (sound.sample_rate, heard.shape) == (rate, written.shape)
    assert abs(heard - written).max() < 2**-15
    (row,) = rows_with(watched.folder, "val/mel")
    (scalar,) = events.Scalars("val/mel")
    assert scalar.value == pytest.approx(float(row["val/mel"]))
    (text,) = (tag for tag in tags["tensors"] if tag.startswith("recipe"))
    assert b"max_steps: 2" in events.Tensors(text)[0].tensor_proto.string_val[0]


def test_all_can_be_switched_off(tmp_path):
    off = "watch={latents: false, sensitivity: false, speed: false}"
    run = train(shrunk("oobleck_vae", tmp_path, off, "examples.clips=0"))
    assert not (run.folder / "examples").exists()
    header = next(run.folder.glob("logs/*/metrics.csv")).read_text().splitlines()[0]
    assert "latent/" not in header
    assert "speed/" not in header


def test_sensitivity_is_the_slope_of_the_loss(tmp_path):
    adversary = build_module(shrunk("oobleck_vae", tmp_path)).adversary
    generator = torch.Generator().manual_seed(0)
    reals = torch.randn(1, 2, 8192, generator=generator)
    with torch.inference_mode():
        fakes = torch.randn(1, 2, 8192, generator=generator)
        gradients = sensitivity(adversary, reals, fakes)
    assert set(gradients) == {"adversarial", "feature matching"}
    for name, gradient in gradients.items():
        length = float(gradient.norm())
        assert length > 0
        ends = [
            adversary.generator_losses(reals, fakes + size * gradient / length)
            for size in (0.05, -0.05)
        ]
        up, down = (float(end[name.replace(" ", "_")].value) for end in ends)
        # Along the gradient the loss rises by its length.
        assert (up - down) / 0.1 == pytest.approx(length, rel=0.05)
    assert all(weight.grad is None for weight in adversary.parameters())


def test_a_missing_tensorboard_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"\.\[tensorboard\]"):
        train(shrunk("starter", tmp_path, "logger.type=tensorboard"))
    assert not (tmp_path / "runs").exists()


def records(file: Path):
    """The protocol buffers of an offline run: after 7 bytes a log in LevelDB's format.

    Blocks of 32 KiB hold pieces with a header of 7 bytes (checksum, length, kind); kind 1 is a
    whole record, 4 the last piece of one.
    """
    from wandb.proto import wandb_internal_pb2

    content, at, kept = file.read_bytes(), 7, b""
    while at + 7 <= len(content):
        left = 2**15 - at % 2**15
        _, length, kind = struct.unpack_from("<IHB", content, at)
        if left < 7 or kind == 0:
            at += left
            continue
        kept += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(kept)
            yield record
            kept = b""


def test_wandb_has_config_history_sounds_pictures_and_artifact(tmp_path):
    environment = {key: value for key, value in os.environ.items() if "WANDB" not in key}
    environment |= {"WANDB_MODE": "offline", "HOME": str(tmp_path)}
    environment |= {f"WANDB_{kind}_DIR": str(tmp_path / kind) for kind in ("CACHE", "DATA")}
    command = [sys.executable, "-m", "zoo", "train", "recipe=oobleck_vae", *SHRUNK]
    command += [*SMALL_DISCRIMINATOR, "logger={type: wandb, artifacts: true}", "examples.clips=1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    folder = next((tmp_path / "runs" / "oobleck_vae").iterdir())
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    found = list(records(file))

    config = {}
    for record in found:
        for update in (*record.run.config.update, *record.config.update):
            config[update.key or update.nested_key[0]] = json.loads(update.value_json)
    recipe = resolve_recipe(str(folder / "recipe.yaml")).to_dict()
    for key in ("model", "trainer", "losses", "seed"):
        assert config[key] == recipe[key], key

    history: dict[str, list] = {}
    for record in found:
        for item in record.history.item:
            key = item.key or ":".join(item.nested_key)
            history.setdefault(key, []).append(json.loads(item.value_json))
    (row,) = rows_with(folder, "val/mel")
    assert history["val/mel"] == [pytest.approx(float(row["val/mel"]))]
    losses = [float(row["train/loss"]) for row in rows_with(folder, "train/loss")]
    assert history["train/loss"] == [pytest.approx(loss) for loss in losses]

    media = file.parent / "files" / "media"
    pictures, sounds = ("spectrogram", "latents", "sensitivity"), ("input", "output")
    shown = {f"examples/{name}": f"{name}.png" for name in pictures}
    shown |= {f"examples/0-{side}": f"clip-0-{side}.wav" for side in sounds}
    for name, written in shown.items():
        assert f"{name}:_type" in history
        (kept,) = media.glob(f"*/{name}_*")
        assert kept.read_bytes() == (folder / "examples/step-000002" / written).read_bytes()

    (artifact,) = (record.artifact for record in found if record.HasField("artifact"))
    contents = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    assert set(contents) == {"best.ckpt", "last.ckpt", "recipe.yaml"}
    for name in ("best.ckpt", "last.ckpt"):
        assert contents[name].read_bytes() == (folder / "checkpoints" / name).read_bytes()
