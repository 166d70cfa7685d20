"""How codes learn: gradients, freezing, k-means, several processes."""

from __future__ import annotations

import copy
import multiprocessing
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nets.quantizers.material import DISCRETE, TYPES, encoded, random_config
from zoo.factory import create_bottleneck_from_config
from zoo.nets.bottlenecks.discrete import straight_through

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


@pytest.mark.parametrize("kind", TYPES)
def test_gradients_pass_in_training_and_in_eval_mode(kind):
    rng = random.Random(7)
    for seed in range(8):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        for training in (True, False):
            x = encoded(config).requires_grad_()
            latents, _ = bottleneck.train(training).encode(x, return_info=True)
            if kind.startswith("rvq"):
                latents = latents * 1.0
            weights = torch.randn_like(latents)
            (latents * weights).sum().backward()
            if not config["config"].get("route_gradients_to_input", True) and training:
                continue
            assert x.grad is not None and x.grad.abs().sum() > 0


def test_straight_through_is_exact():
    x = torch.randn(1000, requires_grad=True)
    quantised = (x.detach() * 1e3).round() / 7
    given = straight_through(x, quantised)
    assert torch.equal(given, quantised)
    given.sum().backward()
    assert torch.equal(x.grad, torch.ones(1000))


@pytest.mark.parametrize("kind", DISCRETE)
def test_frozen_bottlenecks_never_change(kind):
    rng = random.Random(8)
    for seed in range(12):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        bottleneck.train().encode(encoded(config))
        bottleneck.requires_grad_(False).train()
        before = copy.deepcopy(bottleneck.state_dict())
        x = encoded(config).requires_grad_()
        latents, info = bottleneck.encode(x, return_info=True)
        losses = [info[name] for name in info if name.endswith("loss")]
        (latents.sin().sum() + sum(losses)).backward()
        assert x.grad.abs().sum() > 0
        torch.testing.assert_close(bottleneck.state_dict(), before, rtol=0, atol=0)
        assert not any(weight.requires_grad for weight in bottleneck.parameters())
        if kind.startswith("rvq"):
            # Its codes are those of eval mode, its loss is the pull towards them.
            assert info["quantizer_loss"] > 0 or config["config"]["commitment_weight"] == 0
            bottleneck.requires_grad_(True)
            assert bottleneck.quantizer.training
    config["requires_grad"] = False
    frozen = create_bottleneck_from_config(config)
    assert not any(weight.requires_grad for weight in frozen.parameters())


def test_codes_of_kmeans_are_zero_until_the_first_training_batch():
    config = {"type": "rvq", "config": {"dim": 4, "codebook_size": 5, "num_quantizers": 3}}
    bottleneck = create_bottleneck_from_config(config)
    x = torch.randn(2, 4, 50)
    latents, info = bottleneck.eval().encode(x, return_info=True)
    assert not latents.any() and not info["quantizer_indices"].any()
    assert not any(layer._codebook.initted for layer in bottleneck.quantizer.layers)
    bottleneck.train().encode(x)
    assert all(layer._codebook.initted for layer in bottleneck.quantizer.layers)
    error = (bottleneck.eval().encode(x) - x).square().mean()
    assert error < 0.3


def test_kmeans_starts_a_beam_search():
    # More beams than codes are as many.
    config = {"dim": 4, "codebook_size": 5, "num_quantizers": 3, "beam_size": 9}
    bottleneck = create_bottleneck_from_config({"type": "rvq", "config": config}).train()
    x = torch.randn(4, 4, 50)
    for _ in range(2):
        bottleneck.encode(x)
    beams = (bottleneck.eval().encode(x) - x).square().mean()
    bottleneck.quantizer.eval_beam_size = 1
    assert beams <= (bottleneck.encode(x) - x).square().mean()


def _process(rank: int, folder: Path, config: dict[str, Any]) -> None:
    torch.manual_seed(rank)
    bottleneck = create_bottleneck_from_config(config).train()
    bottleneck.load_state_dict(torch.load(folder / "before.pt"))
    batch = torch.load(folder / "batch.pt").chunk(2)[rank]
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    with torch.no_grad():
        for _ in range(3):
            bottleneck.encode(batch)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    torch.save(bottleneck.state_dict(), folder / f"after{rank}.pt")


@torch.no_grad()
@pytest.mark.parametrize("plain", [True, False])
def test_processes_learn_the_codes_together(tmp_path, plain):
    config: dict[str, Any] = {"dim": 3, "codebook_size": 6, "num_quantizers": 3}
    if plain:
        config |= {"kmeans_init": False, "threshold_ema_dead_code": 0}
    else:
        config["quantize_dropout"] = True
    bottleneck = create_bottleneck_from_config({"type": "rvq", "config": config})
    batch = torch.randn(4, 3, 20)
    torch.save(batch, tmp_path / "batch.pt")
    torch.save(bottleneck.state_dict(), tmp_path / "before.pt")
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path, {"type": "rvq", "config": config})
    processes = [context.Process(target=_process, args=(rank, *arguments)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    first, second = (torch.load(tmp_path / f"after{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    if plain:
        for _ in range(3):
            bottleneck.train().encode(batch)
        torch.testing.assert_close(first, dict(bottleneck.state_dict()), **CLOSE)
    else:
        assert first["quantizer.layers.0._codebook.initted"]
