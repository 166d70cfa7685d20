"""Two processes train what one process trains on both batches joined."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from tests.training.rank import train_on_two
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import resolve_recipe
from zoo.errors import ConfigError
from zoo.load import from_checkpoint
from zoo.training.build import build_module
from zoo.training.run import LAST, train

SMALL = [
    *SHRUNK,
    "data.segment_samples=4096",
    "data.synthesis.files=6",
    "data.validation_fraction=0.5",
    "data.validation_crops=3",
    "examples.clips=0",
]
# Without a bottleneck nothing is drawn at random.
GAN = [
    *SMALL,
    *SMALL_DISCRIMINATOR,
    "losses.stft.fft_sizes=[256,64]",
    "losses.stft.hop_sizes=[64,16]",
    "losses.stft.win_lengths=[256,64]",
    "trainer.gradient_clip_val=1",
    "optimizers.autoencoder.optimizer={type: SGD, config: {lr: 1e-3}}",
    "optimizers.discriminator.optimizer={type: SGD, config: {lr: 0.1}}",
    "optimizers.autoencoder.scheduler=null",
    "optimizers.discriminator.scheduler=null",
]
TWO = ["trainer.devices=1", "trainer.num_nodes=2", "trainer.strategy=ddp"]
# Of the way that the weights have gone. What a fresh discriminator's last layer learns from reals
# and fakes cancels, but for little more than rounding.
TOLERANCE = {"model.": 1e-3, "adversary.": 0.03}


def below(folder: Path, name: str) -> list[str]:
    return [f"runs={folder}/runs", f"data.cache={folder}/practice", f"name={name}"]


def rows(folder: Path) -> list[dict[str, float]]:
    (path,) = folder.glob("logs/version_0/metrics.csv")
    with path.open() as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def assert_same_path(start: dict, one: dict, two: dict, tolerance: float = 1e-3) -> None:
    """The weights have moved, to the same place but for rounding."""
    floating = [key for key in one if one[key].is_floating_point()]
    way = max((one[key] - start[key]).abs().max().item() for key in floating)
    assert way > 1e-6
    for key in floating:
        torch.testing.assert_close(two[key], one[key], atol=tolerance * way, rtol=1e-5, msg=key)


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """A GAN trained by one process, by two, and by two that were stopped half-way."""
    folder = tmp_path_factory.mktemp("gan")
    begin = train(
        resolve_recipe("oobleck", overrides=[*GAN, *below(folder, "begin"), "trainer.max_steps=1"])
    )
    more = [*GAN, "trainer.max_steps=4"]
    joined = [*below(folder, "one"), "data.batch_size=4"]
    one = train(resolve_recipe("oobleck", overrides=[*more, *joined]))
    both = [*TWO, "data.batch_size=2"]
    told = train_on_two(
        folder,
        [
            ("oobleck", [*more, *both, *below(folder, "two")], False),
            ("oobleck", [*GAN, *both, *below(folder, "half")], False),
            ("", ["trainer.max_steps=4"], True),
        ],
        late=1.2,
    )
    return folder, begin, one, told


def test_all_processes_agree_on_one_folder(gan):
    folder, _, _, told = gan
    assert told[0] == told[1]
    for name in ("two", "half"):
        (only,) = (folder / "runs" / name).iterdir()
        best, last, kept = sorted(path.name for path in (only / "checkpoints").iterdir())
        assert (best, last, kept[:5]) == ("best.ckpt", "last.ckpt", "step-")


def test_weights_and_averages_are_those_of_the_joined_batch(gan):
    _, begin, one, told = gan
    start = read_ckpt(begin.last_checkpoint)
    alone, together = read_ckpt(one.last_checkpoint), read_ckpt(Path(told[0][0]) / LAST)
    assert alone["global_step"] == together["global_step"] == 4
    assert together["AudioDataModule"] == alone["AudioDataModule"] == {"sample_number": 16}
    for part, tolerance in TOLERANCE.items():
        states = [
            {k: v for k, v in state["state_dict"].items() if k.startswith(part)}
            for state in (start, alone, together)
        ]
        assert_same_path(*states, tolerance)
    assert_same_path(start[EMA_KEY], alone[EMA_KEY], together[EMA_KEY])


def test_metrics_are_those_of_the_joined_batch(gan):
    _, _, one, told = gan
    alone, together = rows(one.folder), rows(Path(told[0][0]))
    assert len(alone) == len(together) == 6
    seen = set()
    for a, b in zip(alone, together, strict=True):
        assert a.keys() == b.keys()
        # The standard deviation of a batch isn't the mean of those of its halves.
        for key in a.keys() - {"train/latent_std"}:
            if key.startswith(("speed/", "latent/")):
                continue
            # Sums of gradients of both signs, which nearly cancel.
            tolerance = 1e-3 if key.startswith("grad_norm/") else 1e-4
            assert b[key] == pytest.approx(a[key], rel=tolerance), key
            seen.add(key)
    # Three crops on two processes: one of them has nothing to add in the last round.
    assert {"train/loss", "train/discriminator", "val/si_sdr", "val/stft", "val/mel"} <= seen


def test_resuming_is_exact(gan):
    _, _, _, told = gan
    straight, resumed = (read_ckpt(Path(told[0][number]) / LAST) for number in (0, 2))
    assert told[0][1] == told[0][2] != told[0][0]
    for part in ("state_dict", EMA_KEY):
        for key, value in straight[part].items():
            assert torch.equal(value, resumed[part][key]), key
    assert straight["AudioDataModule"] == resumed["AudioDataModule"]


def test_lightning_starts_the_processes_and_clips_keep_their_noise(tmp_path):
    still = "optimizers.autoencoder.optimizer.config.lr=1e-12"
    more = [still, "data.validation_crops=3", "data.validation_fraction=0.5", "examples.clips=0"]
    alone = train(shrunk("starter_dit", tmp_path, *more, "name=one"))
    command = [sys.executable, "-m", "zoo", "train", f"recipe={alone.folder}/recipe.yaml"]
    two = ["name=two", "trainer.devices=2", "trainer.strategy=ddp", "data.batch_size=1"]
    done = subprocess.run(
        [*command, *two],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs" / "two").iterdir()
    (one,), (other,) = (
        [{k: v for k, v in row.items() if "val/" in k} for row in rows(run) if "val/stft" in row]
        for run in (alone.folder, folder)
    )
    assert other == pytest.approx(one, rel=1e-4)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="FSDP needs two GPUs")
def test_fsdp_saves_whole_weights(tmp_path):
    sharded = ["trainer.accelerator=gpu", "trainer.devices=2", "trainer.strategy=fsdp"]
    plain = ["ema=null", "discriminator=null", *sharded]
    command = [sys.executable, "-m", "zoo", "train", "recipe=oobleck", *SMALL, *plain]
    done = subprocess.run([*command, *below(tmp_path, "fsdp")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs" / "fsdp").iterdir()
    model = from_checkpoint(folder)
    whole = build_module(resolve_recipe("oobleck", overrides=[*SMALL, "discriminator=null"])).model
    shapes = {key: value.shape for key, value in whole.state_dict().items()}
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes


def test_what_shards_would_spoil_is_refused():
    with pytest.raises(ConfigError) as error:
        resolve_recipe(
            "oobleck", overrides=["trainer.strategy=fsdp", "trainer.gradient_clip_val=1"]
        )
    paths = [problem.path for problem in error.value.problems]
    assert paths == ["discriminator", "ema", "guard", "trainer.gradient_clip_val"]
    alone = ["discriminator=null", "ema=null", "guard=null"]
    resolve_recipe("oobleck", overrides=["trainer.strategy=fsdp", *alone])
