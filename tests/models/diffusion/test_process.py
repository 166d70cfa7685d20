"""Processes: what is mixed can be taken apart again, and upstream mixes the same."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import import_upstream
from zoo.models.diffusion.process import RectifiedFlow, VProcess

CASES = 100
each = pytest.mark.parametrize("process", [VProcess(), RectifiedFlow()], ids=["v", "flow"])


def signals(seed, count=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 2, 5, generator=generator, dtype=torch.float64)


def times(data):
    """Some for a batch of three."""
    some = st.lists(st.floats(0, 1), min_size=3, max_size=3)
    return torch.tensor(data.draw(some), dtype=torch.float64)[:, None, None]


@each
def test_clean_and_noise_come_back(process):
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(st.data())
    def check(data):
        nonlocal ran
        clean, noise = signals(data.draw(st.integers(0, 9999)))
        t = times(data)
        noisy = process.mix(clean, noise, t)
        prediction = process.target(clean, noise, t)
        torch.testing.assert_close(process.clean(noisy, prediction, t), clean)
        torch.testing.assert_close(process.noise(noisy, prediction, t), noise)
        ran += 1

    check()
    assert ran >= CASES


@each
def test_any_prediction_explains_the_noisy_signal(process):
    ran = 0

    @settings(max_examples=CASES, deadline=None, database=None)
    @given(st.data())
    def check(data):
        nonlocal ran
        noisy, prediction = signals(data.draw(st.integers(0, 9999)))
        t = times(data)
        clean = process.clean(noisy, prediction, t)
        noise = process.noise(noisy, prediction, t)
        torch.testing.assert_close(process.mix(clean, noise, t), noisy)
        torch.testing.assert_close(process.target(clean, noise, t), prediction)
        ran += 1

    check()
    assert ran >= CASES


@each
def test_velocity_is_the_derivative(process):
    ran = 0
    for seed in range(CASES):
        clean, noise = signals(seed)
        t = torch.rand(3, 1, 1, dtype=torch.float64).requires_grad_()
        noisy = process.mix(clean, noise, t)
        velocity = process.velocity(process.target(clean, noise, t))
        for sample in range(5):
            # Each clip has its own time, so the gradient of the sum is each one's derivative.
            (slope,) = torch.autograd.grad(noisy[:, 1, sample].sum(), t, retain_graph=True)
            torch.testing.assert_close(velocity[:, 1, sample], slope[:, 0, 0])
        ran += 1
    assert ran == CASES


@each
def test_from_the_clean_signal_to_noise(process):
    clean, noise = signals(0)
    begin, end = torch.zeros(()), torch.ones(())
    torch.testing.assert_close(process.mix(clean, noise, begin), clean)
    torch.testing.assert_close(process.mix(clean, noise, end), noise, atol=1e-6, rtol=1e-6)
    t = torch.linspace(0, 1, 101)
    assert (process.alpha(t).diff() < 0).all() and (process.sigma(t).diff() > 0).all()


def test_v_equals_upstream():
    sampling = import_upstream("stable_audio_tools.inference.sampling")
    t = torch.linspace(0, 1, 257, dtype=torch.float64)
    alpha, sigma = sampling.get_alphas_sigmas(t)
    process = VProcess()
    assert torch.equal(process.alpha(t), alpha) and torch.equal(process.sigma(t), sigma)
    torch.testing.assert_close(process.alpha(t) ** 2 + process.sigma(t) ** 2, torch.ones_like(t))
    clean, noise = (torch.randn(257, dtype=torch.float64) for _ in range(2))
    # stable_audio_tools/training/diffusion.py: `noised_inputs` and `targets`.
    torch.testing.assert_close(process.mix(clean, noise, t), clean * alpha + noise * sigma)
    torch.testing.assert_close(process.target(clean, noise, t), noise * alpha - clean * sigma)


def test_rectified_flow_equals_the_formula():
    t = torch.linspace(0, 1, 257, dtype=torch.float64)
    process = RectifiedFlow()
    clean, noise = (torch.randn(257, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(process.mix(clean, noise, t), (1 - t) * clean + t * noise)
    assert torch.equal(process.target(clean, noise, t), noise - clean)
    assert torch.equal(process.velocity(noise), noise)
    assert process.sigma(torch.tensor(0.5)) == 0.5 != math.sin(math.pi / 4)
