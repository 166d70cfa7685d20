"""Networks over rows against the networks themselves: whole, in blocks, in batches, on threads."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo.nets.dac import DacDecoder, DacEncoder
from zoo.nets.oobleck import OobleckDecoder, OobleckEncoder
from zoo.nets.rows.network import RowNetwork, row_layers, suits
from zoo.nets.streams.stream import in_blocks

WIDE = {"channels": 32, "c_mults": (1, 2), "latent_dim": 6}
BUILD = {
    "oobleck encoder": lambda: OobleckEncoder(2, strides=(2, 3), use_snake=True, **WIDE),
    "oobleck encoder, ELU": lambda: OobleckEncoder(1, strides=(1, 4), **WIDE),
    "oobleck encoder, antialiased": lambda: OobleckEncoder(
        2, strides=(2, 2), use_snake=True, antialias_activation="all", **WIDE
    ),
    "oobleck decoder": lambda: OobleckDecoder(2, strides=(2, 3), use_snake=True, **WIDE),
    "oobleck decoder, nearest": lambda: OobleckDecoder(
        1, strides=(3, 1), use_nearest_upsample=True, final_tanh=False, **WIDE
    ),
    "dac encoder": lambda: DacEncoder(32, (2, 3), 6, in_channels=1),
    "dac decoder": lambda: DacDecoder(6, 64, (3, 2), 2),
}
RATIO = {"oobleck encoder, ELU": 4, "oobleck encoder, antialiased": 4}


@cache
def network(name: str) -> tuple[nn.Module, RowNetwork]:
    torch.manual_seed(0)
    plain = BUILD[name]().eval()
    with torch.no_grad():
        for key, weight in plain.named_parameters():
            # Louder than at the start, so that rounding shows, and no branch at nothing.
            weight.mul_(1.5) if key.endswith("weight_g") else weight.add_(
                0.1 * torch.randn_like(weight)
            )
    return plain, RowNetwork(plain)


def signal(name: str, frames: int, batch: int = 1, seed: int = 0) -> Tensor:
    plain, _ = network(name)
    first = next(m for m in plain.modules() if hasattr(m, "weight_v")).weight_v.shape[1]
    length = frames * (RATIO.get(name, 6) if "encoder" in name else 1)
    return torch.randn(batch, first, length, generator=torch.Generator().manual_seed(seed))


@cache
def in_float64(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).double()


def assert_near(result: Tensor, network: nn.Module, x: Tensor) -> None:
    """The true value is that in float64; the network itself is off by some rounding too."""
    expected = in_float64(network)(x.double())
    assert result.shape == expected.shape
    off = float((network(x) - expected).abs().max())
    assert (result - expected).abs().max() < 3 * off + 1e-6


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@torch.no_grad()
@pytest.mark.parametrize("name", BUILD)
def test_equals_the_network(name, threads):
    plain, rows = network(name)
    for frames, batch in ((1, 1), (2, 3), (67, 2), (450, 1)):
        x = signal(name, frames, batch)
        assert_near(rows(x), plain, x)
    assert torch.get_num_threads() == threads


@torch.no_grad()
@pytest.mark.parametrize("name", BUILD)
@settings(max_examples=8, deadline=None)
@given(frames=st.integers(1, 90), block=st.integers(1, 300), seed=st.integers(0, 99))
def test_equals_the_network_in_blocks(name, frames, block, seed):
    plain, rows = network(name)
    x = signal(name, frames, 1 + seed % 2, seed)
    assert_near(in_blocks(rows.stream(), x, block), plain, x)


@torch.no_grad()
def test_streams_do_not_disturb_each_other():
    name = "oobleck encoder"
    plain, rows = network(name)
    signals = [signal(name, 40, seed=seed) for seed in (1, 2)]
    streams = [rows.stream() for _ in signals]
    pieces: list[list[Tensor]] = [[], []]
    rng = random.Random(0)
    starts = [0, 0]
    while any(start < 240 for start in starts):
        n = rng.choice([k for k in (0, 1) if starts[k] < 240])
        end = min(240, starts[n] + rng.randint(1, 60))
        made = streams[n].advance(signals[n][..., starts[n] : end], last=end == 240)
        pieces[n] += [] if made is None else [made]
        starts[n] = end
    for x, made in zip(signals, pieces, strict=True):
        assert_near(torch.cat(made, dim=-1), plain, x)


@torch.no_grad()
def test_result_is_the_callers():
    _, rows = network("dac decoder")
    first = rows(signal("dac decoder", 5))
    kept = first.clone()
    rows(signal("dac decoder", 5, seed=1))
    assert torch.equal(first, kept)


@torch.no_grad()
def test_new_weights_are_taken_over():
    plain = BUILD["oobleck encoder"]().eval()
    rows = RowNetwork(plain)
    x = signal("oobleck encoder", 4)
    rows(x)
    before = rows(x)
    plain.load_state_dict(BUILD["oobleck encoder"]().state_dict())
    assert_near(rows(x), plain, x)
    assert not torch.allclose(rows(x), before, atol=1e-3)


@torch.no_grad()
def test_other_precisions_run_the_network():
    plain = BUILD["oobleck encoder"]().eval().double()
    x = signal("oobleck encoder", 4).double()
    assert torch.equal(RowNetwork(plain)(x), plain(x))


def test_layers_take_in_their_activations():
    kinds = [type(layer).__name__ for layer in row_layers(BUILD["oobleck encoder"]())]
    block = ["RowResidual"] * 3 + ["RowDown"]
    assert kinds == ["RowConv", *block, *block, "RowConv"]
    assert suits(BUILD["dac decoder"]()) and not suits(nn.Sequential(nn.Conv1d(1, 1, 1)))


def test_gradients_are_not_there():
    plain, rows = network("dac encoder")
    assert not rows(signal("dac encoder", 3)).requires_grad
    assert plain(signal("dac encoder", 3)).requires_grad
