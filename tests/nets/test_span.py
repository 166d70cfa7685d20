"""Spans against the gradient: what an output sample really depends on."""

from __future__ import annotations

import random

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import random_local_attention, random_oobleck, random_taae
from zoo.factory import create_autoencoder_from_config
from zoo.nets.span import input_span

RAN: list[int] = []
ATTENTION: list[int] = []


def dependencies(network, channels: int, length: int, output: int) -> tuple[int, int]:
    x = torch.randn(1, channels, length, dtype=torch.float64, requires_grad=True)
    network(x)[..., output].sum().backward()
    touched = x.grad.abs().sum((0, 1)).nonzero()
    return int(touched.min()), int(touched.max())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_spans_hold_all_dependencies_and_hardly_more(seed):
    config = random_oobleck(random.Random(seed), strides=(1, 2, 3, 4))
    config["model"]["decoder"]["config"]["final_tanh"] = False
    model = create_autoencoder_from_config(config).double()
    for network, channels, up in (
        (model.encoder, model.io_channels, 1),
        (model.decoder, model.latent_dim, model.downsampling_ratio),
    ):
        with torch.no_grad():
            for name, weight in network.named_parameters():
                # Positive kernels, so that no two paths cancel each other.
                weight.abs_() if "weight_v" in name else None
        first, last = input_span(network, 0, 0)
        length = 2 * max(-first, last) + 4
        length += -length % model.downsampling_ratio if up == 1 else 0
        with torch.no_grad():
            frames = network(torch.zeros(1, channels, length).double()).shape[-1]
        output = frames // 2
        low, high = input_span(network, output, output)
        given_low, given_high = dependencies(network, channels, length, output)
        assert max(low, 0) <= given_low
        assert given_high <= min(high, length - 1)
        assert given_low - max(low, 0) <= 2 * model.downsampling_ratio
        assert min(high, length - 1) - given_high <= 2 * model.downsampling_ratio
    RAN.append(seed)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from([random_taae, random_local_attention]))
def test_spans_of_windowed_attention_are_those_of_the_gradient(seed, kind):
    config = kind(random.Random(seed))
    for side in ("encoder", "decoder"):
        options = config["model"][side]["config"]
        if kind is random_taae:
            # A layer norm of one channel depends on nothing.
            options |= {"sliding_window": [seed % 3, seed % 4], "use_snake": False, "channels": 6}
        else:
            options["local_attn_window_size"] = 1 + seed % 5
            options["embed_dims"] = [6 * heads for heads in options["heads"]]
    model = create_autoencoder_from_config(config).double()
    for network, channels, up in (
        (model.encoder, model.io_channels, 1),
        (model.decoder, model.latent_dim, model.downsampling_ratio),
    ):
        with torch.no_grad():
            for weight in network.parameters():
                weight.uniform_(0.1, 0.5) if weight.ndim == 1 else weight.normal_()
        first, last = input_span(network, 0, 0)
        length = 2 * max(-first, last) + 4
        length += -length % model.downsampling_ratio if up == 1 else 0
        with torch.no_grad():
            frames = network(torch.zeros(1, channels, length).double()).shape[-1]
        output = frames // 2
        low, high = input_span(network, output, output)
        given_low, given_high = dependencies(network, channels, length, output)
        assert max(low, 0) <= given_low
        assert given_high <= min(high, length - 1)
        assert given_low - max(low, 0) <= 2 * model.downsampling_ratio
        assert min(high, length - 1) - given_high <= 2 * model.downsampling_ratio
    ATTENTION.append(seed)


def test_how_many_ran():
    assert len(ATTENTION) >= 25
    assert len(RAN) >= 25
