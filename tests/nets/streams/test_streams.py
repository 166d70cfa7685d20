"""Blocks through streams against the whole through the layer."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.examples import (
    random_dac,
    random_local_attention,
    random_oobleck,
    random_seanet,
    random_taae,
)
from zoo.factory import create_autoencoder_from_config
from zoo.nets.activations import Antialiased
from zoo.nets.conv import WNConv1d
from zoo.nets.padded_conv import Norm, PaddedConv1d
from zoo.nets.pretransforms.patched import PatchedPretransform
from zoo.nets.pretransforms.pqmf import PQMFPretransform
from zoo.nets.pretransforms.wavelet import WAVELETS, WaveletPretransform
from zoo.nets.seanet import SeanetEncoder
from zoo.nets.streams.build import stream
from zoo.nets.streams.stream import Pointwise, Stream, Sum
from zoo.nets.streams.window import Window

RAN: Counter[str] = Counter()
KINDS = {
    "oobleck": random_oobleck,
    "dac": random_dac,
    "seanet": random_seanet,
    "taae": random_taae,
    "local": random_local_attention,
}


def fed(made: Stream, x: Tensor, rng: random.Random, longest: int) -> Tensor:
    """What a stream gives for blocks of random lengths, 0 among them; checks `needs`."""
    pieces, seen, given_outputs = [], 0, 0
    while seen < x.shape[-1]:
        size = min(rng.choice((0, 1, 2, rng.randint(1, longest))), x.shape[-1] - seen)
        piece = made.advance(x[..., seen : seen + size] if size else None)
        seen += size
        given_outputs += 0 if piece is None else piece.shape[-1]
        assert made.needs(given_outputs) >= seen, "given as soon as it is determined"
        pieces.append(piece)
    pieces.append(made.advance(None, last=True))
    return torch.cat([piece for piece in pieces if piece is not None], -1)


def assert_same(given: Tensor, expected: Tensor) -> None:
    assert given.shape == expected.shape
    assert (given - expected).abs().max() < 1e-10 * max(1.0, float(expected.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 40), longest=st.integers(1, 200))
def test_a_network_in_blocks_is_the_whole(kind, seed, frames, longest):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    model = create_autoencoder_from_config(KINDS[kind](rng)).eval().double()
    for weight in model.parameters():
        # Branches that start at nothing would hide what they see.
        weight.normal_(0, 0.3) if weight.abs().max() < 1e-4 else None
    for network, channels, length in (
        (model.encoder, model.io_channels, frames * model.downsampling_ratio),
        (model.decoder, model.latent_dim, frames),
    ):
        try:
            made = stream(network)
        except NotImplementedError:
            RAN[f"{kind}, refused"] += 1
            continue
        x = torch.randn(2, channels, length, dtype=torch.float64)
        assert_same(fed(made, x, rng, longest), network(x))
        RAN[kind] += 1


def test_how_many_ran():
    assert min(RAN[kind] for kind in KINDS) >= 8


@torch.no_grad()
@pytest.mark.parametrize("oversampling", [1, 2])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 60))
def test_patches_in_blocks(oversampling, seed, frames):
    both_ways(PatchedPretransform(2, 4, oversampling), seed, frames)


@torch.no_grad()
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), bands=st.sampled_from([1, 2, 5, 8]), frames=st.integers(1, 90))
def test_a_filter_bank_in_blocks(seed, bands, frames):
    both_ways(PQMFPretransform(40, bands, 2), seed, frames)


@torch.no_grad()
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    wavelet=st.sampled_from(WAVELETS),
    levels=st.integers(1, 3),
    frames=st.integers(1, 60),
)
def test_wavelets_in_blocks(seed, wavelet, levels, frames):
    both_ways(WaveletPretransform(2, levels, wavelet), seed, frames)


def both_ways(pretransform, seed: int, frames: int) -> None:
    rng = random.Random(seed)
    pretransform = pretransform.double()
    ratio = pretransform.downsampling_ratio
    x = torch.randn(1, 2, max(1, frames * ratio - rng.randrange(ratio)), dtype=torch.float64)
    z = pretransform.encode(x)
    assert_same(fed(pretransform.encode_stream(), x, rng, 30), z)
    assert_same(fed(pretransform.decode_stream(), z, rng, 30), pretransform.decode(z))


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 20])
@pytest.mark.parametrize("causal", [False, True])
def test_reflections_of_tiny_clips(length, causal):
    conv = PaddedConv1d(1, 2, 8, norm=Norm("none"), stride=3, causal=causal).double()
    x = torch.randn(1, 1, length, dtype=torch.float64)
    assert_same(fed(stream(conv), x, random.Random(length), 2), conv(x))


@torch.no_grad()
def test_a_convolution_computes_each_output_once():
    """A stream of zero-padded convolutions has no context to throw away."""
    conv = WNConv1d(1, 1, 7, padding=(27, 27), dilation=9)
    computed: list[int] = []
    original = torch.nn.functional.conv1d

    def counting(*args, **options):
        y = original(*args, **options)
        computed.append(y.shape[-1])
        return y

    torch.nn.functional.conv1d = counting
    try:
        fed(stream(conv), torch.randn(1, 1, 500), random.Random(0), 20)
    finally:
        torch.nn.functional.conv1d = original
    assert sum(computed) == 500


@torch.no_grad()
def test_a_window_keeps_no_more_than_it_needs():
    made = stream(Antialiased(nn.ELU()))
    assert isinstance(made, Window)
    for _ in range(50):
        made.advance(torch.randn(1, 1, 100))
        assert made._kept is not None
        assert made._kept.shape[-1] == 10
        # A copy: a view would keep the block that it was cut from.
        assert made._kept.untyped_storage().nbytes() == 4 * 10


@pytest.mark.parametrize("length", [1, 3, 4, 5, 30])
def test_the_ends_see_what_lies_mirrored_there(length):
    def layer(x: Tensor) -> Tensor:
        """The samples as they are; the first and the last are those three places inwards."""
        y = x.clone()
        y[..., 0], y[..., -1] = x[..., min(3, len(x[0, 0]) - 1)], x[..., max(-4, -len(x[0, 0]))]
        return y

    x = torch.randn(1, 1, length)
    for seed in range(5):
        made = Window(layer, lambda first, last: (first, last + 1), mirrored=3)
        assert torch.equal(fed(made, x, random.Random(seed), 5), layer(x))


def test_paths_wait_for_each_other():
    late = Window(lambda x: nn.functional.pad(x[..., 3:], (0, 3)), lambda a, b: (a, b + 3))
    total = Sum([Pointwise(nn.Identity()), late])
    x = torch.arange(10.0).view(1, 1, 10)
    expected = x + nn.functional.pad(x[..., 3:], (0, 3))
    assert torch.equal(fed(total, x, random.Random(0), 4), expected)
    assert total.needs(2) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lstm": 0, "norm": "time_group_norm"}, "norm over time"),
        ({"pad_mode": "circular"}, "both ends"),
    ],
)
def test_what_sees_all_of_the_signal_says_so(changes, message):
    with pytest.raises(NotImplementedError, match=message):
        stream(SeanetEncoder(n_filters=2, **changes))


def test_layers_from_elsewhere_bring_their_own_stream():
    class Doubling(nn.Module):
        def stream(self) -> Stream:
            return Pointwise(lambda x: 2 * x)

    made = stream(nn.Sequential(nn.Identity(), Doubling()))
    assert torch.equal(made.advance(torch.ones(1, 1, 3)), torch.full((1, 1, 3), 2.0))
    with pytest.raises(NotImplementedError, match="Bilinear"):
        stream(nn.Bilinear(1, 1, 1))
