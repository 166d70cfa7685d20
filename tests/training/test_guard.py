"""Updates that are not finite: left out, gone back from, and the end of a run."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import zoo
from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from tests.training.test_autoencoder_module import fit
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.guard import GuardConfig
from zoo.config.resolve import resolve_recipe, resume_recipe
from zoo.data.crops import CropDataset
from zoo.errors import TrainingError
from zoo.training.build import build_module
from zoo.training.callbacks.averaged_weights import AveragedWeights
from zoo.training.callbacks.rollback import Rollback
from zoo.training.guard import Guard
from zoo.training.run import train

NO_DRAWS = ["model.bottleneck={type: tanh}", "model.encoder.config.latent_dim=64", "ema=null"]


def build(*more: str):
    torch.manual_seed(0)
    overrides = [*SHRUNK, *SMALL_DISCRIMINATOR, *NO_DRAWS, *more]
    return build_module(resolve_recipe("oobleck_vae", overrides=overrides))


def states(module) -> list:
    optimizers = module.trainer.optimizers
    schedulers = [c.scheduler for c in module.trainer.lr_scheduler_configs]
    return [module.state_dict(), *(part.state_dict() for part in (*optimizers, *schedulers))]


def assert_equal(one, other) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_equal(*pair)
    else:
        assert one == other


@pytest.mark.parametrize(
    "more", [[], ["schedule.alternate=true"], ["losses.balancer={}", "losses.l1=1"]]
)
def test_a_run_with_a_bad_batch_is_the_run_without_it(more):
    torch.manual_seed(1)
    good = 0.3 * torch.randn(3, 2, 8192)
    bad = torch.full((1, 2, 8192), torch.nan)
    one, other = build(*more), build(*more)
    fit(one, torch.cat([good[:1], bad, good[1:]]), 3, size=1)
    fit(other, good, 3)
    assert one.global_step == other.global_step == 3
    # Where both are updated on each batch, both are left out; in turns, only the one.
    assert one.guard.skipped == (1 if "schedule.alternate=true" in more else 2)
    assert_equal(states(one), states(other))


def test_only_the_network_whose_gradient_is_bad_is_left_out():
    module = build()
    before = copy.deepcopy(module.state_dict())
    update = module.learn_model

    def explode(losses, latents, descent=None):
        update(losses, latents, next(iter(losses.values())).value * torch.inf)

    module.learn_model = explode
    torch.manual_seed(1)
    # No batch makes a step of the run.
    fit(module, 0.3 * torch.randn(2, 2, 8192), size=1, max_epochs=1)
    assert module.global_step == 0
    after = module.state_dict()
    moved = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"adversary"}
    assert module.guard.in_a_row["autoencoder"] == module.guard.skipped > 0
    assert module.guard.in_a_row["discriminator"] == 0


def test_overflows_that_seek_the_scale_of_float16_do_not_count():
    guard = Guard(GuardConfig())
    one, inf = torch.tensor(1.0), torch.tensor(torch.inf)
    scaler = SimpleNamespace(get_scale=lambda: 65536.0)
    assert not guard.admits("autoencoder", one, inf, scaler)
    assert guard.skipped == 0
    scaler.get_scale = lambda: 1.0
    assert not guard.admits("autoencoder", one, inf, scaler)
    assert not guard.admits("autoencoder", inf, one, scaler)
    assert guard.skipped == 2
    assert guard.admits("autoencoder", one, one, scaler)
    assert not guard.is_skipping


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(2, 2)
        self.held, self.updates = 0, 0
        self.guard = Guard(GuardConfig(max_skips=2, copy_every_n_steps=3, max_rollbacks=1))


def test_it_goes_back_to_the_last_good_copy():
    torch.manual_seed(0)
    module = Module()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    average, rollback = AveragedWeights(0.5), Rollback()
    saved: list = []
    trainer = SimpleNamespace(
        global_step=0, optimizers=[optimizer], callbacks=[average, rollback],
        save_checkpoint=saved.append,
    )  # fmt: skip

    def step(finite: bool = True) -> None:
        if finite:
            optimizer.zero_grad()
            module.model(torch.ones(1, 2)).square().sum().backward()
            optimizer.step()
            module.updates = trainer.global_step = trainer.global_step + 1
            module.guard.admits("autoencoder", torch.ones(()), torch.ones(()))
        else:
            module.guard.admits("autoencoder", torch.tensor(torch.nan), torch.ones(()))
        average.on_train_batch_end(trainer, module)
        rollback.on_train_batch_end(trainer, module)

    average.on_fit_start(trainer, module)
    rollback.on_train_start(trainer, module)
    for _ in range(3):
        step()
    good = copy.deepcopy([module.state_dict(), optimizer.state_dict()["state"], average.average])
    step()
    optimizer.param_groups[0]["lr"] = 0.07
    step(finite=False)
    step(finite=False)
    assert_equal([module.state_dict(), optimizer.state_dict()["state"], average.average], good)
    assert module.guard.factor == 0.5
    assert optimizer.param_groups[0]["lr"] == 0.07
    # What was restored is no longer the copy: moving on leaves that as it is.
    step()
    with torch.no_grad():
        module.model.weight.fill_(torch.nan)
    # Weights that are not finite themselves are gone back from at once, and then it ends.
    with pytest.raises(TrainingError, match="step 3 1 times"):
        step(finite=False)
    assert_equal([module.state_dict(), optimizer.state_dict()["state"], average.average], good)
    assert not saved


def test_a_last_update_that_spoils_the_weights_is_no_end(tmp_path):
    rate = "optimizers.autoencoder.optimizer.config.lr=1e38"
    more = ["optimizers.autoencoder.warmup_steps=0", "optimizers.autoencoder.optimizer.type=AdamW"]
    recipe = shrunk("starter", tmp_path, rate, *more, "trainer.max_steps=1")
    with pytest.raises(TrainingError, match=r"weights are not finite at step 1, .*\.ckpt holds"):
        train(recipe)
    last = next(tmp_path.glob("runs/*/*/checkpoints/last.ckpt"))
    assert all(value.isfinite().all() for value in read_checkpoint(last).weights.values())


def test_a_run_that_explodes_ends_and_leaves_good_weights(tmp_path, capsys):
    lr = "optimizers.autoencoder.optimizer.config.lr=1e30"
    more = [lr, "trainer.max_steps=50", "guard={max_skips: 2, max_rollbacks: 1}"]
    recipe = shrunk("starter", tmp_path, *more)
    with pytest.raises(TrainingError, match=r"after going back to the weights of step 0 1 times"):
        train(recipe)
    told = capsys.readouterr().err
    assert "back to the weights of step 0, with 0.5 of the learning rate" in told
    folder = next((tmp_path / "runs" / "starter").iterdir())
    given = zoo.from_checkpoint(folder / "checkpoints" / "last.ckpt").state_dict()
    expected = build_module(recipe).model.state_dict()
    assert all(value.isfinite().all() for value in given.values())
    assert max(value.abs().max() for value in given.values()) < 100
    assert given.keys() == expected.keys()


@pytest.fixture
def broken_crops(monkeypatch):
    """Crops 4 to 7, the third and fourth batch, are not numbers."""
    read = CropDataset.__getitem__
    broken = lambda self, n: read(self, n) * (torch.nan if 4 <= n < 8 else 1)  # noqa: E731
    monkeypatch.setattr(CropDataset, "__getitem__", broken)


def test_a_run_resumed_after_going_back_is_the_straight_run(tmp_path, broken_crops):
    more = ["guard={max_skips: 2, copy_every_n_steps: 100}", "checkpoints.every_n_steps=2"]
    straight = train(shrunk("starter", tmp_path, *more, "trainer.max_steps=6"))
    half = train(shrunk("starter", tmp_path, *more, "name=other", "trainer.max_steps=4"))
    resumed = train(resume_recipe(half.folder, ["trainer.max_steps=6"]), resume=half.folder)
    one, other = read_ckpt(straight.last_checkpoint), read_ckpt(resumed.last_checkpoint)
    expected = {"skipped": 2, "in_a_row": {"autoencoder": 0}, "factor": 0.5, "rollbacks": 1}
    assert one["guard"] == other["guard"] == expected
    for part in ("state_dict", EMA_KEY):
        assert_equal(one[part], other[part])
    # Broken batches are trained on no more, but they are counted as seen.
    assert one["AudioDataModule"] == other["AudioDataModule"] == {"sample_number": (6 + 2) * 2}
    metrics = next(straight.folder.glob("logs/*/metrics.csv")).read_text()
    assert "train/skipped" in metrics and "grad_norm/autoencoder" in metrics


def test_without_a_guard_nothing_is_left_out():
    module = build("guard=null")
    fit(module, torch.full((2, 2, 8192), torch.nan), 2)
    assert not all(value.isfinite().all() for value in module.model.state_dict().values())


@pytest.mark.parametrize(
    ("algorithm", "most"), [("norm", lambda g: g.norm()), ("value", lambda g: g.abs().max())]
)
def test_clipping_is_torchs(algorithm, most):
    limit = 1e-3
    clip = [f"trainer.gradient_clip_val={limit}", f"trainer.gradient_clip_algorithm={algorithm}"]
    sgd = "optimizers.{}.optimizer={{type: SGD, config: {{lr: 1}}}}"
    sgds = [sgd.format(name) for name in ("autoencoder", "discriminator")]
    schedules = [f"optimizers.{name}.scheduler=null" for name in ("autoencoder", "discriminator")]
    module = build(*clip, *sgds, *schedules)
    before = {name: copy.deepcopy(net.state_dict()) for name, net in module.networks()}
    torch.manual_seed(1)
    fit(module, 0.3 * torch.randn(1, 2, 8192))
    for name, network in module.networks():
        step = torch.cat([(v - before[name][k]).flatten() for k, v in network.state_dict().items()])
        norm = module.trainer.callback_metrics[f"grad_norm/{name}"]
        assert most(step) == pytest.approx(limit, rel=0.02)
        assert norm > 1.5 * limit
