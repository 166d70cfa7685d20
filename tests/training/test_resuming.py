"""Runs that stop, by themselves or not, and go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zoo
from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from tests.training.test_run import state, zoo_yaml
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import parse_recipe, resume_recipe
from zoo.errors import CheckpointError, ConfigError, TrainingError
from zoo.training.run import LAST, train


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_is_the_straight_run(workers, tmp_path):
    more = [f"data.workers={workers}", "model.encoder.config.use_snake=true"]
    straight = train(shrunk("oobleck_vae", tmp_path, *more, "trainer.max_steps=4"))
    half = train(shrunk("oobleck_vae", tmp_path, *more, "name=other"))
    longer = parse_recipe(zoo_yaml(half.folder / "recipe.yaml"), ["trainer.max_steps=4"], "resumed")
    resumed = train(longer, resume=half.folder)
    assert resumed.steps == straight.steps == 4
    one, other = state(straight), state(resumed)
    for part in ("state_dict", EMA_KEY):
        assert one[part].keys() == other[part].keys()
        for key in one[part]:
            assert torch.equal(one[part][key], other[part][key]), key
    assert one["AudioDataModule"] == other["AudioDataModule"] == {"sample_number": 8}
    assert (
        one["optimizer_states"][1]["state"].keys() == other["optimizer_states"][1]["state"].keys()
    )
    assert one["lr_schedulers"] == other["lr_schedulers"]


def test_resuming_what_is_done_or_missing_or_truncated_is_refused(tmp_path):
    run = train(shrunk("starter", tmp_path))
    recipe = shrunk("starter", tmp_path)
    with pytest.raises(TrainingError, match=r"already at step 2.*trainer.max_steps"):
        train(recipe, resume=run.folder)
    broken = tmp_path / "broken"
    shutil.copytree(run.folder, broken)
    last = broken / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        train(recipe, resume=broken)
    last.unlink()
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train(recipe, resume=broken)


def start(folder: Path, recipe: str, *more: str) -> subprocess.Popen:
    """`zoo train` in a process group of its own, with a line for each step."""
    command = [sys.executable, "-m", "zoo", "train", f"recipe={recipe}", *SHRUNK]
    command += ["trainer.max_steps=100000", "trainer.val_check_interval=100000", *more]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(process: subprocess.Popen, text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(text):
            return
    raise AssertionError(f"ended without '{text}'")


@pytest.mark.parametrize("devices", [1, 2])
def test_an_interrupt_saves_and_says_how_to_resume(tmp_path, devices):
    more = [f"trainer.devices={devices}"] + (["trainer.strategy=ddp"] if devices > 1 else [])
    process = start(tmp_path, "starter", *more, f"data.workers={2 - devices}")
    wait_for(process, "step 3/")
    if devices == 1:
        # As a terminal does: the loader's process gets it too.
        os.killpg(process.pid, signal.SIGINT)
    else:
        # Only the first process is asked; all of them stop at the same step.
        process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    rest = process.stderr.read()
    assert process.wait(60) == 130, rest
    assert "go on with: zoo train resume=runs/starter/" in rest
    assert "Traceback" not in rest
    folder = next((tmp_path / "runs" / "starter").iterdir())
    done = read_ckpt(folder / "checkpoints" / "last.ckpt")["global_step"]
    assert done >= 3
    resumed = subprocess.run(
        [sys.executable, "-m", "zoo", "train", f"resume={folder}", f"trainer.max_steps={done + 2}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert f"{done + 2} steps done" in resumed.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path, workers):
    more = ["checkpoints.every_n_steps=3", f"data.workers={workers}"]
    process = start(tmp_path, "oobleck_vae", *SMALL_DISCRIMINATOR, *more)
    wait_for(process, "step 5/")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    folder = next((tmp_path / "runs" / "oobleck_vae").iterdir())
    done = read_ckpt(folder / LAST)["global_step"]
    assert done % 3 == 0
    steps = done + 2
    resumed = train(resume_recipe(folder, [f"trainer.max_steps={steps}"]), resume=folder)
    straight = train(
        shrunk(
            "oobleck_vae",
            tmp_path,
            f"trainer.max_steps={steps}",
            "trainer.val_check_interval=100000",
            "checkpoints.every_n_steps=3",
        )
    )
    one, other = state(straight), state(resumed)
    for part in ("state_dict", EMA_KEY):
        for key in one[part]:
            assert torch.equal(one[part][key], other[part][key]), key


@pytest.mark.parametrize(
    "override",
    [
        "model.encoder.config.channels=8",
        "ema=null",
        "optimizers.autoencoder.optimizer.type=SGD",
        "data.batch_size=4",
        "seed=3",
    ],
)
def test_what_the_checkpoint_fixes_is_not_changed_on_resume(run, override):
    before = (run / "recipe.yaml").read_bytes()
    with pytest.raises(ConfigError, match="fixed by the run's checkpoint"):
        resume_recipe(run, [override])
    assert (run / "recipe.yaml").read_bytes() == before
    assert resume_recipe(run, ["trainer.max_steps=9", "data.workers=1"]).trainer.max_steps == 9


def test_a_reader_that_goes_away_does_not_keep_a_run_from_saving(tmp_path):
    process = start(tmp_path, "starter")
    wait_for(process, "step 3/")
    assert process.stderr is not None
    # As in `zoo train … 2>&1 | tee log`, where Ctrl-C ends the reader first.
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    folder = next((tmp_path / "runs" / "starter").iterdir())
    assert read_ckpt(folder / LAST)["global_step"] >= 3


def test_a_resumed_run_in_turns_with_teacher_and_balancer_is_the_straight_run(tmp_path):
    teacher = train(shrunk("oobleck_vae", tmp_path, "name=teacher"))
    more = [
        "schedule={alternate: true, latent_mask: 0.1, freeze_encoder_at: 4}",
        "losses.balancer={decay: 0.9}",
        "losses.l1={weight: 1, decay: 0.5}",
        "losses.mel={weight: 1, n_mels: [5], window_lengths: [64]}",
        f"teacher={{checkpoint: {teacher.folder}, weights: {{reconstruction: 0}}}}",
    ]
    straight = train(shrunk("oobleck_vae", tmp_path, *more, "trainer.max_steps=5"))
    half = train(shrunk("oobleck_vae", tmp_path, *more, "trainer.max_steps=3", "name=other"))
    resumed = train(resume_recipe(half.folder, ["trainer.max_steps=5"]), resume=half.folder)
    assert resumed.steps == straight.steps == 5
    one, other = state(straight)["state_dict"], state(resumed)["state_dict"]
    assert one.keys() == other.keys()
    assert not any("teacher" in key for key in one)
    average, again = state(straight)[EMA_KEY], state(resumed)[EMA_KEY]
    for key in average:
        assert torch.equal(average[key], again[key]), key
    norms, again = one.pop("balancer._extra_state"), other.pop("balancer._extra_state")
    assert set(norms) == {"stft", "l1", "mel", "adversarial", "feature_matching", "teacher_output"}
    for key in norms:
        assert torch.equal(norms[key], again[key]), key
    for key in one:
        assert torch.equal(one[key], other[key]), key
    assert zoo.from_checkpoint(resumed.folder).latent_dim == 64
    metrics = next(resumed.folder.glob("logs/*/metrics.csv")).read_text()
    assert "weight/l1" in metrics
    wrong = f"teacher.checkpoint={teacher.folder}"
    with pytest.raises(CheckpointError, match="the teacher's sample_rate is 44100, not"):
        train(shrunk("starter", tmp_path, wrong))
