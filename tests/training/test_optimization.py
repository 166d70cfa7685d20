"""Optimisers and schedules of a recipe against torch's own."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from zoo.config.optimizers import OptimizationConfig
from zoo.config.problems import validate
from zoo.config.resolve import resolve_recipe
from zoo.errors import ConfigError
from zoo.nets.conv import WNConv1d
from zoo.training.build_optimization import build_optimization
from zoo.training.inverse_lr import InverseLR


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(WNConv1d(3, 5, 7), nn.ReLU(), WNConv1d(5, 2, 3), nn.Linear(8, 4))


def learn(net: nn.Module, optimizer, scheduler=None, steps=range(6)) -> list[float]:
    """Some updates on fixed data; gives the rate of each."""
    rates = []
    for step in steps:
        x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net(x).square().mean().backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return rates


def configured(optimizer: dict, scheduler: dict | None = None, warmup: int = 0):
    given = {"optimizer": optimizer, "scheduler": scheduler, "warmup_steps": warmup}
    return validate(OptimizationConfig, given)


OPTIMIZERS = {
    "AdamW": (torch.optim.AdamW, {"lr": 1e-2, "betas": (0.7, 0.9), "amsgrad": True}),
    "Adam": (torch.optim.Adam, {"lr": 1e-2, "weight_decay": 0.1}),
    "SGD": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "RAdam": (torch.optim.RAdam, {"lr": 1e-2, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "Adafactor": (torch.optim.Adafactor, {"lr": 1e-2, "eps": (None, 1e-2), "d": 2.0}),
}
# Our defaults of these differ from torch's, and always have.
OURS = {"AdamW": {"weight_decay": 1e-3}, "Adam": {"betas": (0.8, 0.99)}}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_is_torchs(name):
    kind, options = OPTIMIZERS[name]
    one, other = network(), network()
    optimizer, scheduler = build_optimization(configured({"type": name, "config": options}), one)
    assert scheduler is None
    assert type(optimizer) is kind
    learn(one, optimizer)
    learn(other, kind(other.parameters(), **{**OURS.get(name, {}), **options}))
    for key, value in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[key], value, atol=1e-6, rtol=1e-5, msg=key)


@pytest.mark.parametrize("name", ["RAdam", "Adafactor"])
def test_defaults_are_torchs(name):
    net = network()
    optimizer, _ = build_optimization(configured({"type": name}), net)
    assert optimizer.defaults == getattr(torch.optim, name)(net.parameters()).defaults


@pytest.mark.parametrize(("given", "used"), [(None, True), (True, True), (False, False)])
def test_one_kernel_is_the_default_and_can_be_chosen(given, used):
    config = configured({"type": "AdamW", "config": {"fused": given}})
    optimizer, _ = build_optimization(config, network())
    assert optimizer.param_groups[0]["fused"] is used


@pytest.mark.parametrize("name", [*OPTIMIZERS, "Muon"])
def test_going_on_from_its_state_is_exact(name):
    config = configured({"type": name}, {"type": "LinearLR", "config": {"total_iters": 9}}, 2)
    straight = network()
    learn(straight, *build_optimization(config, straight), range(6))
    half = network()
    parts = build_optimization(config, half)
    learn(half, *parts, range(3))
    file = io.BytesIO()
    torch.save([half.state_dict(), *(part.state_dict() for part in parts)], file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = network()
    resumed = build_optimization(config, again)
    for part, state in zip((again, *resumed), saved, strict=True):
        part.load_state_dict(state)
    learn(again, *resumed, range(3, 6))
    for key, value in straight.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


SCHEDULES = {
    "ExponentialLR": {"gamma": 0.9},
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": (2, 5)},
    "ConstantLR": {"factor": 0.2, "total_iters": 4},
    "LinearLR": {"start_factor": 0.5, "end_factor": 0.1, "total_iters": 7},
    "PolynomialLR": {"total_iters": 20, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 8, "eta_min": 1e-3},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2},
    "OneCycleLR": {"max_lr": 0.5, "total_steps": 20},
    "InverseLR": {"inv_gamma": 5.0, "power": 0.5},
}


def rates_of_torch(name: str, options: dict, steps: int) -> list[float]:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
    kind = InverseLR if name == "InverseLR" else getattr(lr_scheduler, name)
    return learn(net, optimizer, kind(optimizer, **options), range(steps))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_torchs_after_its_warm_up(name, warmup):
    options = SCHEDULES[name]
    sgd = {"type": "SGD", "config": {"lr": 0.1, "momentum": 0.5}}
    config = configured(sgd, {"type": name, "config": options}, warmup)
    assert not list(config.contradictions(15 + warmup))
    net = network()
    rates = learn(net, *build_optimization(config, net), range(warmup + 15))
    expected = rates_of_torch(name, options, 15)
    assert rates[warmup:] == pytest.approx(expected, rel=1e-6)
    first = 0.1 if name != "OneCycleLR" else expected[0]
    rise = [first * (step + 1) / (warmup + 1) for step in range(warmup)]
    assert rates[:warmup] == pytest.approx(rise, rel=1e-6)


def test_a_warm_up_needs_no_schedule():
    net = network()
    parts = build_optimization(configured({"type": "SGD", "config": {"lr": 1.0}}, None, 3), net)
    assert learn(net, *parts, range(6)) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def refusals(*overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        resolve_recipe("oobleck_vae", overrides=overrides)
    return {problem.path: problem.message for problem in error.value.problems}


CYCLE = "optimizers.{}.scheduler={{type: OneCycleLR, config: {{max_lr: 1e-3, total_steps: {}}}}}"


@pytest.mark.parametrize(
    ("overrides", "path", "message"),
    [
        ([CYCLE.format("autoencoder", 9)], "scheduler.config.total_steps", "the run has 10"),
        (
            [CYCLE.format("autoencoder", 9), "trainer.max_steps=-1"],
            "scheduler.config.total_steps",
            "can't last",
        ),
        (
            [
                CYCLE.format("autoencoder", 10),
                "optimizers.autoencoder.optimizer={type: Muon}",
            ],
            "scheduler.config.cycle_momentum",
            "Muon has no momentum",
        ),
        (
            ["optimizers.autoencoder.scheduler={type: MultiStepLR, config: {milestones: [3, 2]}}"],
            "scheduler.config.milestones",
            "must grow",
        ),
        (["optimizers.autoencoder.warmup_steps=4"], "warmup_steps", "warmup of its own"),
        (
            ["optimizers.autoencoder.optimizer={type: SGD, config: {nesterov: true, momentum: 0.5, "
             "dampening: 0.1}}"],
            "optimizer.config.nesterov",
            "dampening",
        ),
    ],
)  # fmt: skip
def test_contradictions_come_before_anything_is_built(overrides, path, message):
    problems = refusals("trainer.max_steps=10", *overrides)
    assert message in problems[f"optimizers.autoencoder.{path}"]


@pytest.mark.parametrize("mode", ["adv", "full"])
@pytest.mark.parametrize("name", ["autoencoder", "discriminator"])
def test_a_schedule_need_only_last_for_the_networks_own_updates(name, mode):
    warmup = 4
    # As the module takes turns: odd steps, once the discriminator learns.
    first = warmup if mode == "full" else 0
    theirs = sum(step % 2 == 1 and step >= first for step in range(11))
    most = theirs if name == "discriminator" else 11 - theirs
    turns = ["schedule.alternate=true", "trainer.max_steps=11"]
    turns += [f"discriminator.warmup_steps={warmup}", f"discriminator.warmup_mode={mode}"]
    resolve_recipe("oobleck_vae", overrides=[*turns, CYCLE.format(name, most)])
    assert f"{most} updates" in str(refusals(*turns, CYCLE.format(name, most - 1)))
