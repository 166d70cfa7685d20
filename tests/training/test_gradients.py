"""The gradients of one batch against those of upstream's trainer, for both of its branches."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.training.test_upstreams_schedule import batches, made
from tests.upstream_training import upstream_wrapper


def same_gradients(ours, theirs) -> None:
    """In float64, where rounding can't turn a leaky ReLU near its kink."""
    mine, others = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert mine.keys() == others.keys()
    largest = max(weight.grad.abs().max().item() for weight in others.values())
    assert largest > 1e-4
    for key, weight in others.items():
        difference = (mine[key].grad - weight.grad).abs().max().item()
        assert difference < 1e-6 * max(weight.grad.abs().max().item(), 1e-3 * largest), key


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("checkpointing", ["off", "on"])
def test_both_branches_have_upstreams_gradients(checkpointing):
    recipe, built = made([f"checkpointing={checkpointing}"])
    module: Any = built
    theirs = upstream_wrapper(recipe, module).double()
    module.double()
    audio = batches(1)[0].double()

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
