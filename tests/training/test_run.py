"""Whole runs of tiny models: every recipe, resuming, interruption, bad input."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

import zoo
from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from zoo.checkpoints.files import CONFIG_KEY, EMA_KEY
from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import parse_recipe, resolve_recipe
from zoo.data.synthesis import synthesise_clip
from zoo.errors import CheckpointError, ConfigError, TrainingError
from zoo.training.build import build_module
from zoo.training.checkpoint_io import WholeCheckpoints
from zoo.training.run import train


@pytest.mark.parametrize("recipe", zoo.list_recipes())
def test_every_recipe_trains_two_steps_and_reloads(recipe, tmp_path):
    run = train(shrunk(recipe, tmp_path))
    assert run.steps == 2
    assert not run.interrupted
    names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*")}
    assert {"recipe.yaml", "checkpoints/last.ckpt", "checkpoints/best.ckpt"} <= names
    assert "examples/step-000002/spectrogram.png" in names
    assert "examples/step-000002/clip-0-input.wav" in names
    assert "examples/step-000002/clip-0-output.wav" in names
    metrics = next(run.folder.glob("logs/*/metrics.csv")).read_text()
    for column in ("val/si_sdr", "val/mel", "val/stft", "train/loss"):
        assert column in metrics
    model = zoo.from_checkpoint(run.folder)
    audio = torch.randn(1, model.in_channels, 5000)
    assert model(audio).shape == audio.shape


def test_there_are_recipes():
    assert len(zoo.list_recipes()) >= 3


@pytest.mark.parametrize("recipe", ["oobleck_vae", "starter"])
def test_upstreams_engine_trains_two_steps(recipe, tmp_path):
    more = ["engine=stable-audio-tools", "schedule.noise_warmup_steps=0"]
    run = train(shrunk(recipe, tmp_path, *more))
    assert run.steps == 2
    weights = read_checkpoint(run.folder).weights
    for engine in ("zoo", "stable-audio-tools"):
        loaded = zoo.from_checkpoint(run.folder, engine=engine).state_dict()
        assert loaded.keys() == weights.keys()


def state(run) -> dict:
    return read_ckpt(run.last_checkpoint)


def zoo_yaml(path: Path) -> dict:
    import yaml

    return yaml.safe_load(path.read_text())


def test_the_checkpoint_describes_itself_and_holds_the_average_once(tmp_path):
    lr = "optimizers.autoencoder.optimizer.config.lr=0.1"
    recipe = shrunk("oobleck_vae", tmp_path, lr, "trainer.max_steps=4")
    run = train(recipe)
    content = state(run)
    assert content[CONFIG_KEY] == recipe.container().to_dict()
    online = {
        key.removeprefix("model."): value
        for key, value in content["state_dict"].items()
        if key.startswith("model.")
    }
    average = content[EMA_KEY]
    assert average.keys() == online.keys()
    assert any(not torch.equal(average[key], online[key]) for key in online)
    assert not any("average" in key or "ema" in key for key in content["state_dict"])
    model = zoo.from_checkpoint(run.last_checkpoint)
    for key, value in model.state_dict().items():
        assert torch.equal(value, average[key])


def test_nothing_to_train_is_refused(tmp_path):
    off = ["model.encoder.requires_grad=false", "model.decoder.requires_grad=false"]
    for frozen in (
        [*off, "model.bottleneck.requires_grad=false"],
        [off[0], "freeze=[bottleneck,decoder]"],
    ):
        with pytest.raises(ConfigError, match="freeze: nothing to train"):
            shrunk("starter", tmp_path, *frozen)
    # That a VAE's bottleneck has no weights shows only once it is built.
    with pytest.raises(TrainingError, match="nothing to train"):
        train(shrunk("starter", tmp_path, *off))


def test_a_frozen_encoder_stays_as_it_was(tmp_path):
    recipe = shrunk("starter", tmp_path, "model.encoder.requires_grad=false", "ema=null")
    run = train(recipe)
    torch.manual_seed(0)
    trained = zoo.from_checkpoint(run.folder)
    again = train(
        shrunk(
            "starter",
            tmp_path,
            "model.encoder.requires_grad=false",
            "ema=null",
            "trainer.max_steps=1",
            "trainer.val_check_interval=1",
        )
    )
    other = zoo.from_checkpoint(again.folder)
    for key, value in trained.state_dict().items():
        fixed = key.startswith(("encoder", "pretransform"))
        assert torch.equal(value, other.state_dict()[key]) == fixed, key


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.accelerator=tpu", "trainer: "),
        ("trainer.devices=[0,0]", "trainer: "),
    ],
)
def test_what_lightning_refuses_is_one_message_and_leaves_nothing(tmp_path, override, message):
    recipe = shrunk("starter", tmp_path, override)
    with pytest.raises(TrainingError, match=message):
        train(recipe)
    assert not (tmp_path / "runs").exists()


def test_checkpointing_is_switched_on_from_the_command_line(tmp_path):
    recipe = shrunk("starter", tmp_path, "checkpointing=on")
    assert recipe.checkpointing == "on"
    module = build_module(recipe)
    units = [part for part in module.model.modules() if hasattr(part, "checkpointing")]
    assert units
    assert all(unit.checkpointing for unit in units)
    with pytest.raises(ConfigError, match="checkpointing"):
        shrunk("starter", tmp_path, "checkpointing=on", "engine=stable-audio-tools")


def test_a_model_with_fewer_outputs_hears_all_its_inputs(tmp_path, tiny):
    tiny["model"]["decoder"]["config"]["out_channels"] = 1
    tiny["model"]["out_channels"] = 1
    path = tmp_path / "mono_out.json"
    path.write_text(json.dumps(tiny))
    overrides = [o for o in SHRUNK if not o.startswith("model.")]
    overrides += [*SMALL_DISCRIMINATOR, f"runs={tmp_path}", f"data.cache={tmp_path}/practice"]
    run = train(resolve_recipe("oobleck", str(path), overrides))
    audio, _ = soundfile.read(run.folder / "examples/step-000002/clip-0-output.wav", always_2d=True)
    assert audio.shape[1] == 1


def test_a_folder_with_broken_files_trains(tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    for number, name in enumerate(("a.wav", "b.flac", "c.mp3", "d.ogg")):
        clip = synthesise_clip(number, 1.0, 22050, 1 + number % 2, ("tone",))
        soundfile.write(audio / name, clip.T.numpy(), 22050)
    (audio / "text.wav").write_text("not audio")
    soundfile.write(audio / "short.wav", torch.zeros(10, 1).numpy() + 0.5, 8000)
    run = train(shrunk("starter", tmp_path, f"data.folder={audio}"))
    assert run.steps == 2


def test_recipe_in_the_run_folder_is_the_resolved_one(tmp_path):
    recipe = shrunk("starter", tmp_path)
    run = train(recipe)
    assert parse_recipe(zoo_yaml(run.folder / "recipe.yaml"), [], "") == recipe.replace(
        checkpointing="off"
    )
    json.dumps(recipe.to_dict())


def test_wandb_without_a_login_logs_offline_and_says_so(tmp_path):
    run = train(shrunk("starter", tmp_path))
    assert not (run.folder / "wandb").exists()
    environment = {key: value for key, value in os.environ.items() if "WANDB" not in key}
    environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    command = [sys.executable, "-m", "zoo", "train", "recipe=starter", *SHRUNK, "logger.type=wandb"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no login at wandb, so it logs offline") == 1
    folder = next((tmp_path / "runs" / "starter").glob("*/wandb"))
    assert list(folder.glob("offline-run-*/*.wandb"))


def test_two_processes_make_one_run(tmp_path):
    command = [sys.executable, "-m", "zoo", "train", "recipe=oobleck_vae", *SHRUNK]
    command += [*SMALL_DISCRIMINATOR, "trainer.devices=2", "trainer.strategy=ddp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    folders = list((tmp_path / "runs" / "oobleck_vae").iterdir())
    assert len(folders) == 1
    assert done.stderr.count("2 steps done") == 1
    content = read_ckpt(folders[0] / "checkpoints" / "last.ckpt")
    # Two steps of two crops on two processes.
    assert content["AudioDataModule"] == {"sample_number": 8}


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    target = tmp_path / "last.ckpt"
    writer = WholeCheckpoints()
    writer.save_checkpoint({"step": torch.tensor(1)}, target)

    def full(*args, **kwargs):
        args[1].write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match=r"last\.ckpt: cannot be written: No space left"):
        writer.save_checkpoint({"step": torch.tensor(2)}, target)
    monkeypatch.undo()
    assert read_ckpt(target)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
