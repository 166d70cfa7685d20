"""Snake's own backward pass against autograd's of the formula."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from zoo.nets.activations import Snake1d, SnakeBeta


def formula(snake, x):
    if isinstance(snake, Snake1d):
        return x + (1 / (snake.alpha + 1e-9)) * torch.sin(x * snake.alpha).square()
    frequency, beta = snake.alpha.exp()[:, None], snake.beta.exp()[:, None]
    return x + (1 / (beta + 1e-9)) * torch.sin(x * frequency).square()


def made(kind, dtype):
    torch.manual_seed(0)
    snake = kind(3).to(dtype)
    for weight in snake.parameters():
        weight.data += 0.5 * torch.randn_like(weight)
    return snake, torch.randn(2, 3, 17, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("kind", [SnakeBeta, Snake1d])
def test_gradients_are_those_of_the_formula(kind):
    snake, x = made(kind, torch.float64)
    given = [x, *snake.parameters()]
    weights = torch.randn_like(x)
    ours = torch.autograd.grad((snake(x) * weights).sum(), given)
    theirs = torch.autograd.grad((formula(snake, x) * weights).sum(), given)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [SnakeBeta, Snake1d])
def test_values_are_those_of_the_formula_to_the_bit(kind):
    snake, x = made(kind, torch.float32)
    assert torch.equal(snake(x), formula(snake, x))
    half = x.detach().bfloat16()
    assert snake(half).dtype == formula(snake, half).dtype == torch.float32
    assert torch.equal(snake(half), formula(snake, half))


@pytest.mark.parametrize("kind", [SnakeBeta, Snake1d])
def test_only_the_input_is_kept(kind):
    snake, x = made(kind, torch.float32)
    large = []
    with saved_tensors_hooks(
        lambda t: large.append(t) if t.numel() == x.numel() else t, lambda t: t
    ):
        snake(x)
    assert len(large) == 1
