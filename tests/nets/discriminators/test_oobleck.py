"""Scales and periods against upstream's classes."""

import random

import pytest
import torch

from tests.nets.discriminators.same import assert_same_gradients, randomise
from tests.oracle import import_upstream
from zoo.nets.discriminators.oobleck import OobleckDiscriminator

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
upstream = import_upstream("stable_audio_tools.models.discriminators")
CASES = 12


def small(channels: int, capacity: int) -> torch.nn.Module:
    """Upstream's discriminator with fewer channels than its constructor allows."""
    theirs = torch.nn.Module()
    theirs.multi_discriminator = upstream.MultiDiscriminator(
        [
            upstream.MultiScaleDiscriminator(channels, 3, capacity=capacity),
            upstream.MultiPeriodDiscriminator(channels, [2, 3, 5, 7, 11], capacity=capacity),
        ],
        ["reals", "fakes"],
    )
    return theirs


def test_equals_upstreams():
    draw, ran = random.Random(0), 0
    torch.manual_seed(0)
    for _ in range(CASES):
        channels, capacity, batch = draw.randint(1, 3), draw.randint(1, 4), draw.randint(1, 3)
        theirs, ours = small(channels, capacity), OobleckDiscriminator(channels, capacity=capacity)
        randomise(theirs)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        reals, fakes = torch.randn(2, batch, channels, draw.randint(4, 2000))
        judged = theirs.multi_discriminator({"reals": reals, "fakes": fakes})
        total = torch.zeros(())
        for name, x in (("reals", reals), ("fakes", fakes)):
            mine = ours(x)
            torch.testing.assert_close(mine.logits, [judged[f"score_{name}"]], rtol=1e-5, atol=1e-5)
            (features,) = mine.features
            assert len(features) == 8 * 5
            torch.testing.assert_close(features, judged[f"features_{name}"], rtol=1e-5, atol=1e-5)
            total = total + mine.logits[0].square().sum()
        total.backward()
        (judged["score_reals"].square().sum() + judged["score_fakes"].square().sum()).backward()
        assert_same_gradients(ours, theirs)
        ran += 1
    assert ran == CASES


def test_has_the_size_and_keys_of_upstreams():
    theirs, ours = upstream.OobleckDiscriminator(2).state_dict(), OobleckDiscriminator(2)
    given = ours.state_dict()
    assert {key: value.shape for key, value in given.items()} == {
        key: value.shape for key, value in theirs.items()
    }
    assert sum(weight.numel() for weight in ours.parameters()) > 50e6
