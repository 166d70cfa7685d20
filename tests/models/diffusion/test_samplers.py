"""Samplers against upstream's, against formulas, and their order of convergence."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
import torch

from tests.oracle import import_upstream
from zoo.config.sampling import Sampler
from zoo.interop import quiet
from zoo.models.diffusion.process import RectifiedFlow, VProcess
from zoo.models.diffusion.samplers import SAMPLERS, sample

COMPARED = 40


@pytest.fixture(scope="module")
def upstream():
    return import_upstream("stable_audio_tools.inference.sampling")


def network(seed):
    """A smooth function of signal and time, (batch, channels, samples) and (batch,)."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(2, 2, generator=generator)
    kernel, shift = torch.randn(2, 5, generator=generator)

    def predict(x, t, **_):
        blurred = torch.nn.functional.conv1d(x, kernel.to(x).expand(2, 1, 5), padding=2, groups=2)
        mixed = torch.einsum("ij,bjn->bin", mixing.to(x), blurred)
        return torch.sin(mixed + shift[0].to(x) * t[:, None, None]) - 0.3 * x

    return predict


def fresh_noise(shape):
    return lambda draw: torch.randn(shape, generator=torch.Generator().manual_seed(draw))


def ours(predict, noise, process, sampler, steps):
    def at(x, t):
        assert t.ndim == 0 and t.dtype == torch.float64
        return predict(x, t.to(x).expand(len(x)))

    return sample(at, noise, process, sampler, steps, fresh_noise(noise.shape))


def case(seed):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    noise = torch.randn(rng.randint(1, 3), 2, rng.randint(1, 60))
    return network(seed), noise, rng.choice((1, 2, 3, 5, 17, 50))


def test_ddim_equals_upstream(upstream):
    ran = 0
    for seed in range(COMPARED):
        predict, noise, steps = case(seed)
        with quiet():
            expected = upstream.sample(predict, noise, steps, 0)
        found = ours(predict, noise, VProcess(), "ddim", steps)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        ran += 1
    assert ran == COMPARED


@pytest.mark.parametrize(
    ("sampler", "theirs"),
    [
        ("euler", "sample_discrete_euler"),
        ("ddim", "sample_discrete_euler"),  # The same, on straight paths.
        ("dpmpp_2m", "sample_flow_dpmpp"),
        ("pingpong", "sample_flow_pingpong"),
    ],
)
def test_flow_samplers_equal_upstream(upstream, monkeypatch, sampler, theirs):
    ran = 0
    for seed in range(COMPARED):
        predict, noise, steps = case(seed)
        draws = iter(range(1, 99))
        fresh = fresh_noise(noise.shape)
        monkeypatch.setattr(torch, "randn_like", lambda _, d=draws, f=fresh: f(next(d)))
        with quiet():
            expected = getattr(upstream, theirs)(predict, noise, steps)
        monkeypatch.undo()
        found = ours(predict, noise, RectifiedFlow(), sampler, steps)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        ran += 1
    assert ran == COMPARED


def test_heun_equals_the_formula():
    ran = 0
    for seed in range(COMPARED):
        predict, noise, steps = case(seed)
        noise = noise.double()
        for process, scale in ((RectifiedFlow(), 1.0), (VProcess(), math.pi / 2)):

            def slope(x, t, predict=predict, scale=scale):
                return scale * predict(x, torch.full((len(x),), t, dtype=x.dtype))

            x, step = noise, 1 / steps
            for number in range(steps):
                now, then = 1 - number * step, 1 - (number + 1) * step
                first = slope(x, now)
                last = number == steps - 1
                second = first if last else slope(x - step * first, then)
                x = x - step * (first + second) / 2
            torch.testing.assert_close(ours(predict, noise, process, "heun", steps), x)
            ran += 1
    assert ran == 2 * COMPARED


class Gaussian:
    """The ideal prediction for samples of a normal distribution, and where it leads."""

    mean, spread = 0.4, 0.6

    def __init__(self, process):
        self.process = process

    def __call__(self, x, t):
        alpha, sigma = self.process.alpha(t), self.process.sigma(t)
        variance = (alpha * self.spread) ** 2 + sigma**2
        clean = self.mean + alpha * self.spread**2 / variance * (x - alpha * self.mean)
        return self.process.target(clean, (x - alpha * clean) / sigma, t)

    def error(self, sampler, steps):
        """Of the flow that takes one normal distribution to the other."""
        noise = torch.linspace(-2, 2, 9, dtype=torch.float64)[None, None]
        found = sample(self, noise, self.process, sampler, steps, fresh_noise(noise.shape))
        return float((found - (self.mean + self.spread * noise)).abs().max())


@pytest.mark.parametrize("process", [VProcess(), RectifiedFlow()], ids=["v", "flow"])
@pytest.mark.parametrize(
    ("sampler", "order"), [("ddim", 1), ("euler", 1), ("heun", 2), ("dpmpp_2m", 2)]
)
def test_order_of_convergence(process, sampler, order):
    flow = Gaussian(process)
    errors = [flow.error(sampler, steps) for steps in (100, 200, 400, 800)]
    assert errors[-1] < 0.02
    for coarse, fine in pairwise(errors):
        # Less than fourfold for steps that are even in time, not in what the method counts.
        assert 0.7 * 2**order < coarse / fine < 1.1 * 2**order


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("process", [VProcess(), RectifiedFlow()], ids=["v", "flow"])
def test_one_step_is_one_prediction(process, sampler):
    noise = torch.randn(2, 2, 7, dtype=torch.float64)
    predict, calls = network(0), []

    def counted(x, t):
        calls.append(float(t))
        return predict(x, t.expand(len(x)))

    found = sample(counted, noise, process, sampler, 1, fresh_noise(noise.shape))
    prediction = predict(noise, torch.ones(2, dtype=torch.float64))
    expected = process.clean(noise, prediction, torch.ones((), dtype=torch.float64))
    if sampler in ("euler", "heun"):
        expected = noise - process.velocity(prediction)
    torch.testing.assert_close(found, expected)
    assert calls == [1.0]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_keeps_the_type_of_the_noise(sampler):
    for dtype in (torch.float32, torch.float64):
        noise = torch.randn(1, 2, 5, dtype=dtype)

        def fresh(draw, shape=noise):
            return torch.randn_like(shape)

        process = VProcess()
        found = sample(lambda x, t: torch.tanh(x), noise, process, sampler, 4, fresh)
        assert found.dtype == dtype and found.isfinite().all()


def test_pingpong_draws_another_noise_for_each_step():
    numbers = []

    def fresh(draw):
        numbers.append(draw)
        return torch.zeros(1, 1, 3)

    sample(lambda x, t: x, torch.ones(1, 1, 3), RectifiedFlow(), "pingpong", 5, fresh)
    assert numbers == [1, 2, 3, 4]


def test_progress_sees_every_step():
    seen = []

    def progress(steps):
        for now, then in steps:
            seen.append((float(now), float(then)))
            yield now, then

    noise = torch.ones(1, 1, 3)
    sample(lambda x, t: x, noise, VProcess(), "ddim", 4, fresh_noise(noise.shape), progress)
    assert seen == [(1, 0.75), (0.75, 0.5), (0.5, 0.25), (0.25, 0)]


def test_what_can_be_chosen():
    assert tuple(SAMPLERS) == tuple(sampler.value for sampler in Sampler)

    def run(sampler, steps):
        noise = torch.ones(1, 1, 3)
        sample(lambda x, t: x, noise, VProcess(), sampler, steps, fresh_noise(noise.shape))

    with pytest.raises(ValueError, match="unknown sampler 'dpm'") as caught:
        run("dpm", 4)
    assert all(name in str(caught.value) for name in SAMPLERS)
    for steps in (0, -3):
        with pytest.raises(ValueError, match=f"steps is {steps}, but must be a whole number"):
            run("ddim", steps)
