"""Tokens give their latents back bit for bit."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.nets.quantizers.material import DISCRETE, encoded, random_config, width
from zoo.factory import create_bottleneck_from_config

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


ROUND_TRIPS: list[str] = []


@torch.no_grad()
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(DISCRETE),
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 3),
    frames=st.integers(1, 20),
    trained=st.booleans(),
)
def test_tokens_decode_to_the_latents_bit_for_bit(kind, seed, batch, frames, trained):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    config = random_config(kind, rng)
    bottleneck = create_bottleneck_from_config(config)
    if trained:
        bottleneck.train().encode(encoded(config))
    before = copy.deepcopy(bottleneck.eval().state_dict())
    x = encoded(config, batch, frames)
    latents, info = bottleneck.encode(x, return_info=True)
    tokens = info[bottleneck.tokens_id]
    assert tokens.shape == (batch, bottleneck.num_quantizers, frames)
    assert tokens.dtype == torch.int64
    assert tokens.min() >= 0 and tokens.max() < bottleneck.codebook_size
    noise = torch.Generator().manual_seed(0)
    decoded = bottleneck.decode(latents, generator=noise)
    again = bottleneck.decode_tokens(tokens, generator=noise.manual_seed(0))
    assert torch.equal(again, decoded)
    channels = width(kind, config["config"]) + config["config"].get("noise_augment_dim", 0)
    assert decoded.shape == (batch, channels, frames)
    if "fsq" not in kind:
        count = rng.randint(1, bottleneck.num_quantizers)
        latents, info = bottleneck.encode(x, return_info=True, n_quantizers=count)
        kept = info[bottleneck.tokens_id]
        assert kept.shape[1] == count
        if not config["config"].get("eval_beam_size") and not config["config"].get("beam_size"):
            assert torch.equal(kept, tokens[:, :count])
        chosen = {"n_quantizers": count} if kind.startswith("dac") else {}
        decoded = bottleneck.decode(latents, generator=noise.manual_seed(0), **chosen)
        again = bottleneck.decode_tokens(kept, generator=noise.manual_seed(0))
        assert torch.equal(again, decoded)
    torch.testing.assert_close(bottleneck.state_dict(), before, rtol=0, atol=0)
    ROUND_TRIPS.append(kind)


def test_how_many_round_trips_ran():
    assert len(ROUND_TRIPS) >= 150
    assert set(ROUND_TRIPS) == set(DISCRETE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", DISCRETE)
@torch.no_grad()
def test_round_trips_in_other_types(kind, dtype):
    rng = random.Random(5)
    for seed in range(6):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        bottleneck.train().encode(encoded(config))
        bottleneck = bottleneck.eval().to(dtype)
        latents, info = bottleneck.encode(encoded(config).to(dtype), return_info=True)
        assert latents.dtype == dtype
        torch.manual_seed(0)
        decoded = bottleneck.decode(latents)
        torch.manual_seed(0)
        assert torch.equal(bottleneck.decode_tokens(info[bottleneck.tokens_id]), decoded)


@pytest.mark.parametrize("kind", DISCRETE)
@torch.no_grad()
def test_autocast_changes_no_token(kind):
    rng = random.Random(6)
    for seed in range(4):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        bottleneck.train().encode(encoded(config))
        bottleneck.eval()
        x = encoded(config)
        tokens = bottleneck.encode(x, return_info=True)[1][bottleneck.tokens_id]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents, info = bottleneck.encode(x, return_info=True)
            halved = info[bottleneck.tokens_id]
            torch.manual_seed(0)
            decoded = bottleneck.decode(latents)
            torch.manual_seed(0)
            assert torch.equal(bottleneck.decode_tokens(halved), decoded)
        # The projections of the others are meant to run in half precision.
        if not kind.startswith("dac") and not (kind == "fsq" and "dim" in config["config"]):
            assert torch.equal(halved, tokens)
