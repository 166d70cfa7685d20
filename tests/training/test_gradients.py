"""The gradients of one batch against those of upstream's trainer, for both of its branches."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.training.test_upstreams_schedule import batches, made
from tests.upstream_training import upstream_wrapper


def same_gradients(ours, theirs) -> None:
    """All together within 3e-4, each within 5e-3 of its largest: by rounding, which differs from
    machine to machine, a few leaky ReLUs near their kink turn."""
    mine, others = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert mine.keys() == others.keys()
    largest = max(weight.grad.abs().max().item() for weight in others.values())
    assert largest > 1e-4
    off = total = 0.0
    for key, weight in others.items():
        difference = mine[key].grad - weight.grad
        scale = max(weight.grad.abs().max().item(), 1e-3 * largest)
        assert difference.abs().max().item() < 5e-3 * scale, key
        off += difference.double().square().sum().item()
        total += weight.grad.double().square().sum().item()
    assert off < 3e-4**2 * total


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("checkpointing", ["off", "on"])
def test_both_branches_have_upstreams_gradients(checkpointing):
    recipe, built = made([f"checkpointing={checkpointing}"])
    module: Any = built
    theirs = upstream_wrapper(recipe, module)
    audio = batches(1)[0]

    torch.manual_seed(3)
    batch = module.reconstruct(audio, 0)
    verdict = module.adversary.verdict(batch.reals, batch.decoded)
    losses = module.objective(batch.decoded, batch.reals, batch.info) | verdict.generator
    torch.stack([term.weighted for term in losses.values()]).sum().backward()
    verdict.discriminator.backward()

    torch.manual_seed(3)
    latents, info = theirs.autoencoder.encode(audio, return_info=True)
    decoded = theirs.autoencoder.decode(latents)
    judged = theirs.discriminator.loss(reals=audio, fakes=decoded)
    info |= dict(zip(("loss_dis", "loss_adv", "feature_matching_distance"), judged, strict=True))
    info |= {"reals": audio, "decoded": decoded}
    for name, signal in (("reals", audio), ("decoded", decoded)):
        info |= {f"{name}_left": signal[:, :1], f"{name}_right": signal[:, 1:]}
    theirs.losses_disc(info)[0].backward(retain_graph=True)
    # The generator's step of ours must have added nothing to this.
    same_gradients(module.adversary.discriminator, theirs.discriminator)
    theirs.zero_grad()
    theirs.losses_gen(info)[0].backward()
    same_gradients(module.model, theirs.autoencoder)
