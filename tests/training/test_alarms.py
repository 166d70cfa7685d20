"""What a run says of odd values."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.shrunk import shrunk
from zoo.config.alarms import AlarmsConfig
from zoo.errors import ConfigError
from zoo.training.callbacks.alarms import Alarms, codebook_usage
from zoo.training.run import train


class Run:
    """A trainer and a module without networks."""

    def __init__(self, **config) -> None:
        given = {"first_step": 4, "every_n_steps": 2, "repeat_every_n_steps": 6, **config}
        self.alarms = Alarms(AlarmsConfig(**given))
        self.logged: dict[str, list[float]] = {}
        log = lambda name, value: self.logged.setdefault(name, []).append(value)  # noqa: E731
        bottleneck = SimpleNamespace(codebook_size=8)
        model = SimpleNamespace(bottleneck=bottleneck)
        self.module = SimpleNamespace(held=0, tokens=None, latest={}, model=model, log=log)
        self.trainer = SimpleNamespace(global_step=0)
        self.alarms.on_train_start(self.trainer, self.module)

    def step(self, tokens=None, **metrics) -> None:
        self.trainer.global_step += 1
        self.module.tokens = tokens
        self.module.latest |= {f"train/{k}": torch.tensor(value) for k, value in metrics.items()}
        self.alarms.on_train_batch_end(self.trainer, self.module)


def test_it_speaks_of_means_from_the_first_step_on_and_repeats_itself_seldom(capsys):
    run = Run()
    for _ in range(14):
        run.step(latent_std=0.01, discriminator=0.5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in lines] == [" step 4", " step 10"]
    assert all("standard deviation is 0.01, not 0.05 to 20" in line for line in lines)
    assert run.logged["alarm/latent_std"] == [1.0] * 6
    assert run.logged["alarm/discriminator_loss"] == [0.0] * 6


def test_one_odd_step_is_not_enough(capsys):
    run = Run(every_n_steps=4)
    for value in (0.01, 0.5, 0.5, 0.5, 0.5, 0.01, 0.5, 0.5):
        run.step(latent_std=value)
    assert not capsys.readouterr().err


def test_a_mean_is_over_the_updates_that_were_made(capsys):
    run = Run()
    for step in range(8):
        run.step(latent_std=1.0, **({"discriminator": 0.06} if step % 2 else {}))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("metrics", "text"),
    [({"latent_std": 50.0}, "deviation is 50"), ({"discriminator": 1e-3}, "always wins")],
)
def test_limits(metrics, text, capsys):
    run = Run()
    for _ in range(4):
        run.step(**metrics)
    assert text in capsys.readouterr().err


def test_codebooks_are_counted_over_steps(capsys):
    run = Run(codebook_usage=0.3)
    for step in range(4):
        # One codebook goes through its codes, the other stays with two of eight.
        first = (torch.arange(6) + 2 * step) % 8
        second = torch.tensor([3, 3, 5, 3, -1, -1])
        run.step(torch.stack([first, second])[None])
    assert "uses only 25.0% of its codes" in capsys.readouterr().err
    assert run.logged["train/codebook_usage"] == [0.25]
    # Fewer tokens than codes: nothing that could have occurred is missing.
    assert codebook_usage(torch.tensor([[1.0, 1, 0, 0, 0]])).tolist() == [1.0]


def test_null_switches_off():
    run = Run(latent_std=None, codebook_usage=None, discriminator_loss=None)
    for _ in range(6):
        run.step(torch.zeros(1, 1, 4), latent_std=0.0, discriminator=0.0)
    assert not run.logged


def test_a_run_logs_them(tmp_path):
    bottleneck = "model.bottleneck={type: fsq, config: {levels: [3,3,3], dim: 64}}"
    more = [bottleneck, "model.encoder.config.latent_dim=64", "losses.kl=0"]
    alarms = "alarms={first_step: 1, every_n_steps: 1}"
    run = train(shrunk("oobleck_vae", tmp_path, *more, alarms))
    header = next(run.folder.glob("logs/*/metrics.csv")).read_text().splitlines()[0]
    for name in ("latent_std", "discriminator_loss", "codebook_usage"):
        assert f"alarm/{name}" in header


def test_limits_that_cross_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"alarms\.latent_std: 2\.0 is not below 1\.0"):
        shrunk("starter", tmp_path, "alarms.latent_std=[2,1]")
