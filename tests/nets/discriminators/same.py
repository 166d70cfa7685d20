"""Whether two discriminators are one: outputs, gradients and keys."""

import torch
from torch import nn

from zoo.nets.discriminators.judgement import Judgement


def randomise(network: nn.Module) -> None:
    """Gives every weight another value, so that none is left as it begins."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.5 + torch.rand_like(weight)).add_(0.01 * torch.randn_like(weight))


def assert_same(given: Judgement, logits: list, features: list) -> None:
    torch.testing.assert_close(given.logits, logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(given.features, features, rtol=1e-5, atol=1e-5)


def assert_same_gradients(ours: nn.Module, theirs: nn.Module) -> None:
    """After a backward pass through each. Tolerances are relative to each weight's gradient."""
    expected = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        assert weight.grad is not None, name
        size = float(expected[name].grad.abs().max())
        difference = float((weight.grad - expected[name].grad).abs().max())
        assert difference <= 1e-4 * size + 1e-7, (name, difference, size)
    assert len(list(ours.parameters())) == len(expected)
