"""Training times against upstream's draws and against their distribution functions."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
import torch

from tests.oracle import import_upstream
from zoo.models.diffusion.timesteps import (
    DistributionShift,
    LogitNormal,
    LogSNR,
    Shifted,
    Uniform,
)

SHIFTS = 100
DRAWS = 20_000


def normal_cdf(x):
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def logit_normal_cdf(t, mean, std):
    return normal_cdf((torch.logit(t) - mean) / std)


@pytest.fixture(scope="module")
def upstream():
    return import_upstream("stable_audio_tools.inference.sampling")


ALL = [
    Uniform(),
    LogitNormal(),
    LogitNormal(-0.7, 1.6),
    LogSNR(),
    LogSNR(0.5, 0.7),
    Shifted(Uniform(), DistributionShift(), 1000),
    Shifted(LogSNR(), DistributionShift(use_sine=True), 4096),
]


@pytest.mark.parametrize("timesteps", ALL, ids=str)
def test_draws_come_from_the_generator_alone(timesteps):
    first, again = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    state = torch.get_rng_state()
    drawn = timesteps(9, first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(drawn, timesteps(9, again))
    resumed = torch.Generator()
    resumed.set_state(first.get_state())
    following = timesteps(9, first)
    assert torch.equal(following, timesteps(9, resumed))
    assert not torch.equal(following, drawn)
    torch.manual_seed(3)
    drawn = timesteps(5)
    torch.manual_seed(3)
    assert torch.equal(timesteps(5), drawn)


@pytest.mark.parametrize("timesteps", ALL, ids=str)
def test_shape_and_range(timesteps):
    torch.manual_seed(0)
    for count in (1, 3, 64, 5000):
        t = timesteps(count)
        assert t.shape == (count,) and t.dtype == torch.float32
        assert ((t > 0) & (t < 1)).all()


@pytest.mark.parametrize("std", [50.0, 1e4])
def test_never_at_an_end_however_wide(std):
    torch.manual_seed(0)
    widest = LogitNormal(0, std)
    for timesteps in (widest, LogSNR(0, std), Shifted(widest, DistributionShift(), 1)):
        t = timesteps(1000)
        assert ((t > 0) & (t < 1)).all()


@pytest.mark.parametrize(
    ("timesteps", "cdf"),
    [
        (Uniform(), lambda t: t),
        (LogitNormal(), lambda t: logit_normal_cdf(t, 0, 1)),
        (LogitNormal(-0.7, 1.6), lambda t: logit_normal_cdf(t, -0.7, 1.6)),
        (LogSNR(), lambda t: logit_normal_cdf(t, 1.2, 2)),
        (LogSNR(0.5, 0.7), lambda t: logit_normal_cdf(t, -0.5, 0.7)),
        # The shift adds to the logit; at the middle length by the mean of both shifts.
        (
            Shifted(LogitNormal(), DistributionShift(0.2, 1.0, 300, 100), 200),
            lambda t: logit_normal_cdf(t, 0.6, 1),
        ),
    ],
)
@pytest.mark.parametrize("count", [1, 16])
def test_distribution(timesteps, cdf, count):
    generator = torch.Generator().manual_seed(1)
    calls = DRAWS // count if count > 1 else 4000
    drawn = torch.cat([timesteps(count, generator) for _ in range(calls)])
    t = drawn.double().sort().values
    steps = torch.arange(len(t) + 1, dtype=torch.float64) / len(t)
    below = cdf(t)
    statistic = max((steps[1:] - below).abs().max(), (below - steps[:-1]).abs().max())
    # Kolmogorov and Smirnov: exceeded in one of 10,000 cases.
    assert statistic < 2.23 / len(t) ** 0.5


def test_uniform_times_of_a_call_are_spread_evenly():
    generator = torch.Generator().manual_seed(0)
    ran = 0
    for exponent in range(9):
        for _ in range(10):
            t = Uniform()(2**exponent, generator)
            assert (t * 2**exponent).long().unique().numel() == 2**exponent
            ran += 1
    assert ran == 90


def test_uniform_is_upstreams_sequence():
    generator, again = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    seed = int(torch.randint(2**62, (), generator=again))
    expected = torch.quasirandom.SobolEngine(1, scramble=True, seed=seed).draw(33)[:, 0]
    assert torch.equal(Uniform()(33, generator), expected)


def test_log_snr_equals_upstream(upstream):
    for seed, (mean, std) in enumerate([(-1.2, 2.0), (0.0, 1.0), (3.0, 9.0)]):
        torch.manual_seed(seed)
        expected = upstream.sample_timesteps_logsnr(500, mean, std)
        torch.manual_seed(seed)
        assert torch.equal(LogSNR(mean, std)(500), expected)
    torch.manual_seed(0)
    expected = upstream.sample_timesteps_logsnr(8)
    torch.manual_seed(0)
    assert torch.equal(LogSNR()(8), expected)


def test_logit_normal_equals_the_formula_of_upstreams_training():
    torch.manual_seed(0)
    expected = torch.sigmoid(torch.randn(500))
    torch.manual_seed(0)
    assert torch.equal(LogitNormal()(500), expected)


def test_shift_equals_upstream(upstream):
    rng, ran = random.Random(0), 0
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    for _ in range(SHIFTS):
        options = {
            "base_shift": rng.uniform(-1, 2),
            "max_shift": rng.uniform(-1, 2),
            "min_length": rng.randint(1, 1000),
            "max_length": rng.randint(1001, 5000),
            "use_sine": rng.random() < 0.5,
        }
        length = rng.randint(options["min_length"], options["max_length"])
        theirs = upstream.DistributionShift(**options)
        ours = DistributionShift(**options)
        torch.testing.assert_close(ours(t, length), theirs.time_shift(t, length))
        assert torch.equal(ours(t, 0), ours(t, options["min_length"]))
        assert torch.equal(ours(t, 10**6), ours(t, options["max_length"]))
        ran += 1
    assert ran == SHIFTS
    for length in (256, 1000, 4096):
        expected = upstream.DistributionShift().time_shift(t, length)
        torch.testing.assert_close(DistributionShift()(t, length), expected)


def test_shift_keeps_order_and_ends():
    t = torch.linspace(0, 1, 1001)
    for use_sine in (False, True):
        shifted = DistributionShift(use_sine=use_sine)(t, 2000)
        assert shifted[0] == 0 and abs(shifted[-1] - 1) < 1e-6
        assert all(one <= other for one, other in pairwise(shifted.tolist()))
