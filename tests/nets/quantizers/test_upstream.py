"""Bottlenecks with tokens, and softnorm, against upstream's where it works."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from tests.nets.quantizers.material import TYPES, encoded, random_config, upstreams
from zoo.factory import create_bottleneck_from_config

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


def both(ours, theirs, x: torch.Tensor, seed: int) -> list[dict[str, Any]]:
    """What each makes of `x`: latents, decoder input, losses, gradients."""
    results = []
    for bottleneck in (ours, theirs):
        bottleneck.zero_grad()
        given = x.clone().requires_grad_()
        torch.manual_seed(seed)
        latents, info = bottleneck.encode(given, return_info=True)
        decoded = bottleneck.decode(latents)
        names = ("kl", "quantizer_loss", "vq/commitment_loss", "vq/codebook_loss", "softnorm_loss")
        losses = {name: info[name] for name in names if name in info}
        total = decoded.sin().sum() + sum(losses.values())
        gradients: dict[str, Any] = {}
        if bottleneck.training and total.requires_grad:
            total.backward()
            gradients = {name: p.grad for name, p in bottleneck.named_parameters()}
            gradients["input"] = given.grad
        tokens = info.get(getattr(bottleneck, "tokens_id", ""))
        results.append(
            {
                "latents": latents.detach(),
                "decoded": decoded.detach(),
                "losses": losses,
                "gradients": gradients,
                "tokens": tokens,
                "others": {name: info[name] for name in ("z", "latents") if name in info},
            }
        )
    return results


def compare(kind: str, mine: dict[str, Any], other: dict[str, Any]) -> None:
    if other["tokens"] is not None:
        transposed = kind.startswith("rvq") or kind == "dithered_fsq"
        tokens = other["tokens"].transpose(1, 2) if transposed else other["tokens"]
        assert torch.equal(mine["tokens"], tokens.long())
    for name in ("latents", "decoded", "losses", "others"):
        torch.testing.assert_close(mine[name], other[name], **CLOSE)
    for name, gradient in other["gradients"].items():
        if gradient is None:
            assert mine["gradients"][name] is None
        else:
            torch.testing.assert_close(mine["gradients"][name], gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
def test_random_configs_equal_upstream(kind):
    rng, compared = random.Random(3), {"train": 0, "eval": 0}
    for seed in range(54):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        theirs, ours = upstreams(config), create_bottleneck_from_config(config)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        if kind.endswith("vae"):
            ours.sample_in_eval = True
        for training in (True, True, False) if kind.startswith("rvq") else (True, False):
            ours.train(training)
            theirs.train(training)
            ready = all(value for key, value in ours.state_dict().items() if "initted" in key)
            # Upstream starts k-means in eval mode, and DiVeQ adds noise there.
            if not training and not (ready and not config["config"].get("diveq")):
                continue
            mine, other = both(ours, theirs, encoded(config), seed)
            compare(kind, mine, other)
            compared["train" if training else "eval"] += 1
        torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), **CLOSE)
    assert compared["train"] >= 54
    assert compared["eval"] >= 50
