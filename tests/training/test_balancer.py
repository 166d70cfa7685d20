import random

import pytest
import torch

from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR
from tests.training.test_upstreams_schedule import batches, fit
from zoo.config.resolve import resolve_recipe
from zoo.training.balancer import Balancer
from zoo.training.build import build_module
from zoo.training.objective import Term

CASES = 30


def expected_gradient(gradients, weights, sums, total_norm, decay, per_item):
    """Of one step at the output, in float64; `sums` are the running ones of each name."""
    whole = sum(weights.values())
    mixture = 0
    for name, gradient in gradients.items():
        gradient = gradient.double()
        norms = gradient.flatten(1).norm(dim=1) if per_item else gradient.norm()
        top, bottom = sums.get(name, (0.0, 0.0))
        sums[name] = (norms.mean().item() + decay * top, 1 + decay * bottom)
        running = sums[name][0] / sums[name][1]
        mixture = mixture + total_norm * weights[name] / whole * gradient / running
    return mixture


def test_equals_the_formula_over_several_steps():
    draw = random.Random(0)
    torch.manual_seed(0)
    ran = 0
    for _ in range(CASES):
        options = {
            "total_norm": draw.choice([1.0, 3.0]),
            "decay": draw.choice([0.0, 0.9, 0.999]),
            "per_item": draw.random() < 0.5,
        }
        balancer, sums = Balancer(**options), {}
        weights = {name: draw.uniform(0.1, 5) for name in ("a", "b", "c")[: draw.randint(1, 3)]}
        for _ in range(3):
            output = torch.randn(draw.randint(1, 3), 2, draw.randint(5, 40), requires_grad=True)
            latents = torch.randn(4, requires_grad=True)
            gains = {name: 10 ** draw.uniform(-3, 3) for name in weights}
            losses = {
                name: Term((output * torch.randn_like(output)).square().mean() * gains[name], w)
                for name, w in weights.items()
            }
            gradients = {
                name: torch.autograd.grad(term.value, output, retain_graph=True)[0]
                for name, term in losses.items()
            }
            losses["kl"] = Term(latents.square().sum(), 0.3, of_output=False)
            balancer(losses, output).backward()
            expected = expected_gradient(gradients, weights, sums, **options)
            torch.testing.assert_close(output.grad, expected.float(), rtol=1e-4, atol=1e-7)
            torch.testing.assert_close(latents.grad, 0.3 * 2 * latents.detach())
            ran += 1
    assert ran == 3 * CASES


def test_shares_do_not_depend_on_the_size_of_a_loss():
    output = torch.randn(2, 1, 50, requires_grad=True)
    for gain in (1e-6, 1.0, 1e6):
        terms = {"a": Term(output.square().sum(), 1.0), "b": Term(gain * output.sum(), 1.0)}
        (gradient,) = torch.autograd.grad(Balancer()(terms, output), output)
        if gain == 1e-6:
            first = gradient
        torch.testing.assert_close(gradient, first)


def test_running_norms_survive_a_checkpoint():
    output = torch.randn(2, 1, 50, requires_grad=True)
    old, new = Balancer(decay=0.9), Balancer(decay=0.9)
    old({"a": Term(100 * output.square().sum(), 1.0)}, output)
    new.load_state_dict(old.state_dict())
    later = {"a": Term(output.square().sum(), 1.0)}
    (one,) = torch.autograd.grad(old(later, output), output)
    (other,) = torch.autograd.grad(new(later, output), output)
    (fresh,) = torch.autograd.grad(Balancer(decay=0.9)(later, output), output)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.allclose(one, fresh)


@pytest.mark.filterwarnings("ignore")
def test_a_step_follows_the_balanced_gradient_and_keeps_what_is_not_of_the_output():
    overrides = [
        *SHRUNK,
        *SMALL_DISCRIMINATOR,
        "losses.stft.fft_sizes=[256]",
        "losses.stft.hop_sizes=[64]",
        "losses.stft.win_lengths=[256]",
        "losses.l1=2",
        "losses.kl=0.01",
        "losses.balancer={total_norm: 2}",
        "ema=null",
        "optimizers.autoencoder={optimizer: {type: SGD, config: {lr: 0.01}}, scheduler: null}",
    ]
    recipe = resolve_recipe("oobleck_vae", overrides=overrides)
    torch.manual_seed(0)
    module = build_module(recipe)
    module.adversary.learns = lambda step: False
    twin = build_module(recipe)
    twin.load_state_dict(module.state_dict())
    (audio,) = batches(1)

    torch.manual_seed(5)
    batch = twin.reconstruct(audio, 0)
    losses = twin.objective(batch.decoded, batch.reals, batch.info)
    losses |= twin.adversary.generator_losses(batch.reals, batch.decoded)
    shares = {name: term for name, term in losses.items() if name != "kl"}
    assert len(shares) == 4
    gradients = {
        name: torch.autograd.grad(term.value, batch.decoded, retain_graph=True)[0]
        for name, term in shares.items()
    }
    weights = {name: term.weight for name, term in shares.items()}
    mixture = expected_gradient(gradients, weights, {}, 2.0, 0.999, True).float()
    torch.autograd.backward([batch.decoded, 0.01 * batch.info["kl"]], [mixture, torch.tensor(1.0)])
    expected = {
        name: weight.detach() - 0.01 * weight.grad for name, weight in twin.model.named_parameters()
    }

    fit(module, [audio])
    for name, weight in module.model.named_parameters():
        torch.testing.assert_close(weight.detach(), expected[name], rtol=1e-5, atol=1e-6, msg=name)
    assert "balancer._extra_state" in module.state_dict()
