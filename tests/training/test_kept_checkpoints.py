"""Which checkpoints a run keeps, and when it ends early."""

from __future__ import annotations

import csv
import errno
import math
import random
from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from torch.utils.data import DataLoader

import zoo
from tests.shrunk import shrunk
from zoo.checkpoints.files import find_checkpoint
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import resume_recipe
from zoo.errors import CheckpointError, ConfigError
from zoo.training.callbacks.best_checkpoints import BestCheckpoints
from zoo.training.callbacks.early_stopping import Plateau
from zoo.training.checkpoint_io import WholeCheckpoints
from zoo.training.run import train


class Scripted(LightningModule):
    """Validates once a step; validation number n gives `values[n]`."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, index):
        return self.weight

    def validation_step(self, batch, index):
        self.log("val/mel", self.values[self.global_step - 1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(folder: Path, values: list[float], *callbacks, steps: int = 0, resume: Path | None = None):
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps or len(values),
        max_epochs=-1,
        val_check_interval=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=WholeCheckpoints(),
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_checkpointing=bool(callbacks),
    )
    loader = DataLoader(torch.zeros(len(values), 1))
    trainer.fit(Scripted(values), loader, DataLoader(torch.zeros(1, 1)), ckpt_path=resume)
    return trainer


def steps_of(folder: Path) -> set[int]:
    return {int(path.name.split("_")[0].removeprefix("step-")) for path in folder.glob("step-*")}


def best_steps(values: list[float], keep: int, sign: int = 1) -> list[int]:
    """By hand: the steps of the `keep` best values, the best first."""
    finite = [(sign * value, step) for step, value in enumerate(values, 1) if math.isfinite(value)]
    return [step for _, step in sorted(finite)[:keep]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
@pytest.mark.parametrize("keep", [1, 3])
def test_the_best_are_kept_also_by_a_run_that_was_killed_and_resumed(tmp_path, mode, sign, keep):
    rng = random.Random(keep)
    values = [rng.choice([rng.uniform(-30, 30), rng.uniform(0, 1e-3)]) for _ in range(9)]
    values[4] = math.nan
    best = BestCheckpoints(tmp_path, "val/mel", mode, keep)
    # Killed after step 6: its `last` is of step 2, so steps 3 to 6 are run twice.
    fit(tmp_path / "a", values, BestCheckpoints(tmp_path / "early", "val/mel", mode, 9), steps=2)
    last = next((tmp_path / "early").glob("step-000002_*"))
    fit(tmp_path / "a", values, best, steps=6)
    assert steps_of(tmp_path) == set(best_steps(values[:6], keep, sign))
    (tmp_path / ".step-000007_val-mel_0.1.ckpt.99.part").write_bytes(b"half")
    fit(tmp_path / "a", values, BestCheckpoints(tmp_path, "val/mel", mode, keep), resume=last)
    expected = best_steps(values, keep, sign)
    assert steps_of(tmp_path) == set(expected)
    assert read_ckpt(tmp_path / "best.ckpt")["global_step"] == expected[0]
    for path in tmp_path.glob("step-*"):
        step, value = read_ckpt(path)["global_step"], float(path.stem.rpartition("_")[2])
        assert value == pytest.approx(values[step - 1], rel=1e-5)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.filterwarnings("ignore")
def test_a_failing_write_loses_nothing(tmp_path, monkeypatch):
    values = [3.0, 2.0, 1.0]
    fit(tmp_path, values, BestCheckpoints(tmp_path, "val/mel", "min", 2), steps=2)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.ckpt")}
    assert len(before) == 3

    def full(content, file):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left"):
        fit(tmp_path, values, BestCheckpoints(tmp_path, "val/mel", "min", 2))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.ckpt")} == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.filterwarnings("ignore")
def test_without_hard_links_the_best_is_a_copy(tmp_path, monkeypatch):
    def none(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", none)
    fit(tmp_path, [2.0, 1.0, 3.0], BestCheckpoints(tmp_path, "val/mel", "min", 1))
    assert steps_of(tmp_path) == {2}
    assert read_ckpt(tmp_path / "best.ckpt")["global_step"] == 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("values", "delta", "last"),
    [
        ([5, 4, 4, 4, 3, 3], 0.0, 4),
        ([5, 4.9, 4.8, 1, 1, 1], 0.5, 3),
        ([5, math.nan, 4, math.nan, math.nan, 3], 0.0, 5),
        ([6, 5, 4, 3, 2, 1], 0.0, 6),
    ],
)
def test_a_run_that_no_longer_improves_ends_and_says_so(tmp_path, capsys, values, delta, last):
    trainer = fit(tmp_path, values, Plateau("val/mel", "min", patience=2, min_delta=delta))
    assert trainer.global_step == last
    said = capsys.readouterr().err
    by = "by 0.5 " if delta else ""
    line = f"stopping early at step {last}: val/mel has not improved {by}for 2"
    assert said.count(line) == (last < len(values))


def validated(folder: Path, metric: str) -> dict[int, float]:
    """The metric at each step, from the csv file."""
    rows = csv.DictReader(next(folder.glob("logs/*/metrics.csv")).open())
    return {int(row["step"]): float(row[metric]) for row in rows if row[metric]}


def test_a_whole_run_keeps_the_best_and_a_resumed_one_goes_on(tmp_path):
    more = ["checkpoints={monitor: val/si_sdr, keep: 2, every_n_steps: 2}"]
    more += ["trainer.val_check_interval=1", "watch.latents=false"]
    run = train(shrunk("starter", tmp_path, *more, "trainer.max_steps=3"))
    values = validated(run.folder, "val/si_sdr")
    assert len(values) == 3
    ranked = sorted(values, key=lambda step: -values[step])
    assert steps_of(run.folder / "checkpoints") == set(ranked[:2])
    best = find_checkpoint(run.folder)
    assert best.name == "best.ckpt"
    assert read_ckpt(best)["global_step"] == ranked[0]
    named = next((run.folder / "checkpoints").glob(f"step-{ranked[0]:06d}_val-si_sdr_*"))
    assert float(named.stem.rpartition("_")[2]) == pytest.approx(values[ranked[0]], rel=1e-5)
    assert zoo.from_checkpoint(named).latent_dim == 32
    changes = ["trainer.max_steps=4", "checkpoints.keep=1", "early_stopping={patience: 99}"]
    train(resume_recipe(run.folder, changes), resume=run.folder)
    assert len(steps_of(run.folder / "checkpoints")) == 1
    assert {"best.ckpt", "last.ckpt"} < {p.name for p in (run.folder / "checkpoints").iterdir()}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["checkpoints.monitor=val/mell"], "did you mean 'val/mel'"),
        (["checkpoints.monitor=val/pesq"], r"checkpoints.monitor: val/pesq is logged with"),
        (["early_stopping.monitor=val/pesq"], r"early_stopping.monitor: val/pesq is logged with"),
        (["checkpoints={monitor: val/si_sdr, mode: min}"], "better where it is higher"),
        (["early_stopping.mode=max"], "better where it is lower"),
        (["early_stopping.patience=1", "trainer.limit_val_batches=0"], "nothing is validated"),
        (["metrics=[pesq]", "sample_rate=8000"], "pesq needs a sample_rate of 16000"),
        (["logger.artifacts=true"], "only where logger.type is wandb"),
    ],
)
def test_what_is_never_logged_is_refused_by_name(tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        shrunk("starter", tmp_path, *overrides)
