"""Several small batches against one large one."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from tests.training.test_autoencoder_module import fit
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import resolve_recipe, resume_recipe
from zoo.training.balancer import Balancer
from zoo.training.build import build_module
from zoo.training.objective import Term
from zoo.training.run import train

EXACT = [
    *SHRUNK,
    *SMALL_DISCRIMINATOR,
    # Means over the batch: of these, several batches give exactly what one gives.
    "losses.stft.weight=0",
    "losses.l1=0.3",
    "losses.l2=1",
    "losses.kl=0.01",
    "model.bottleneck={type: tanh}",
    "model.encoder.config.latent_dim=64",
    "ema=null",
    "optimizers.autoencoder.optimizer={type: SGD, config: {lr: 0.1}}",
    "optimizers.discriminator.optimizer={type: SGD, config: {lr: 5}}",
    "optimizers.autoencoder.scheduler=null",
    "optimizers.discriminator.scheduler=null",
]


def trained(audio, batches: int, updates: int, *more: str):
    overrides = [*EXACT, *more, f"trainer.accumulate_grad_batches={batches}"]
    torch.manual_seed(0)
    module = build_module(resolve_recipe("oobleck_vae", overrides=overrides))
    before = copy.deepcopy(module.state_dict())
    fit(module, audio, updates, batches)
    assert module.global_step == updates
    return module, before


def assert_same(one, other, before) -> None:
    given, expected = one.state_dict(), other.state_dict()
    for part in ("model.", "adversary."):
        keys = [key for key in given if key.startswith(part) and expected[key].numel()]
        moved = torch.stack([(expected[key] - before[key]).norm() for key in keys]).norm()
        apart = torch.stack([(given[key] - expected[key]).norm() for key in keys]).norm()
        assert moved > 1e-4
        # The discriminator's gradients of reals and fakes almost cancel each other at first.
        assert apart < 5e-3 * moved, part


TURNS = "schedule.alternate=true"
TOGETHER = "schedule.alternate=false"


@pytest.mark.parametrize("clip", ["null", "0.01"])
@pytest.mark.parametrize("more", [TURNS, TOGETHER])
def test_several_batches_are_one_large_batch(more, clip):
    torch.manual_seed(1)
    audio = 0.3 * torch.randn(12, 2, 4096)
    clipping = f"trainer.gradient_clip_val={clip}"
    small, before = trained(audio, 3, 2, more, clipping)
    large, _ = trained(audio, 1, 2, more, clipping)
    assert_same(small, large, before)


@pytest.mark.parametrize("per_item", [True, False])
def test_the_balancer_shares_out_as_for_one_large_batch(per_item):
    torch.manual_seed(0)
    items = torch.randn(2, 1, 8)
    # The norm of a batch is that of the next only where both are alike.
    large = items.repeat(3, 1, 1).requires_grad_()
    expected = gradient(Balancer(per_item=per_item), large)
    batches = [items.clone().requires_grad_() for _ in range(3)]
    balancer = Balancer(per_item=per_item, batches=3)
    given = torch.cat([gradient(balancer, batch) / 3 for batch in batches])
    torch.testing.assert_close(given, expected)


def gradient(balancer: Balancer, output: torch.Tensor) -> torch.Tensor:
    losses = {
        "l1": Term(output.abs().mean(), 3.0),
        "l2": Term(output.square().mean(), 1.0),
        "kl": Term(output.exp().mean(), 0.5, of_output=False),
    }
    (given,) = torch.autograd.grad(balancer(losses, output), output)
    return given


def test_the_log_has_the_mean_of_the_batches():
    torch.manual_seed(1)
    audio = 0.3 * torch.randn(6, 2, 4096)
    small, _ = trained(audio, 3, 1)
    large, _ = trained(audio, 1, 1)
    names = ("train/loss", "train/l1", "train/discriminator", "grad_norm/autoencoder")
    for name in (*names, "grad_norm/discriminator"):
        given, expected = (m.trainer.callback_metrics[name] for m in (small, large))
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["oobleck_vae", "dit_diffae"])
def test_steps_count_updates_and_a_resumed_run_is_the_straight_run(name, tmp_path):
    more = ["trainer.accumulate_grad_batches=3", "checkpoints.every_n_steps=2"]
    straight = train(shrunk(name, tmp_path, *more, "trainer.max_steps=4"))
    half = train(shrunk(name, tmp_path, *more, "name=other"))
    resumed = train(resume_recipe(half.folder, ["trainer.max_steps=4"]), resume=half.folder)
    assert resumed.steps == straight.steps == 4
    one, other = read_ckpt(straight.last_checkpoint), read_ckpt(resumed.last_checkpoint)
    assert one["AudioDataModule"] == other["AudioDataModule"] == {"sample_number": 4 * 3 * 2}
    for part in ("state_dict", EMA_KEY):
        for key in one[part]:
            assert torch.equal(one[part][key], other[part][key]), key
    assert one["callbacks"]["AveragedWeights"] == {"updates": 4}
    # Validation is every 2 updates, and so are its lines in the log.
    assert {p.name for p in (straight.folder / "examples").iterdir()} == {
        "step-000002",
        "step-000004",
    }
    lines = next(straight.folder.glob("logs/*/metrics.csv")).read_text().splitlines()
    steps = [int(line.split(",")[lines[0].split(",").index("step")]) for line in lines[1:]]
    assert set(steps) == {1, 2, 3, 4}
