"""Spans against the gradient: what an output sample really depends on."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import (
    random_dac,
    random_local_attention,
    random_oobleck,
    random_seanet,
    random_taae,
)
from zoo.factory import create_autoencoder_from_config
from zoo.nets.seanet import SeanetDecoder, SeanetEncoder
from zoo.nets.span import input_span

RAN: Counter[str] = Counter()


def dependencies(network, channels: int, length: int, output: int) -> tuple[int, int]:
    x = torch.randn(1, channels, length, dtype=torch.float64, requires_grad=True)
    network(x)[..., output].sum().backward()
    touched = x.grad.abs().sum((0, 1)).nonzero()
    return int(touched.min()), int(touched.max())


def networks(kind: str, seed: int):
    """Encoder and decoder of a random config, without what makes gradients vanish."""
    rng = random.Random(seed)
    if kind == "oobleck":
        config = random_oobleck(rng, strides=(1, 2, 3, 4))
        config["model"]["decoder"]["config"]["final_tanh"] = False
    elif kind == "dac":
        config = random_dac(rng, strides=(1, 2, 3, 4))
    else:
        config = random_seanet(rng, finite=True)
        for part in ("encoder", "decoder"):
            for key in ("activation", "activation_params", "final_activation"):
                config["model"][part]["config"].pop(key, None)
    model = create_autoencoder_from_config(config).double()
    if kind == "dac":
        model.decoder.decoder["model"][-1] = torch.nn.Identity()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Positive kernels, so that no two paths cancel each other.
            weight.abs_() if name.endswith(("weight_v", "weight", "weight_orig")) else None
        for name, vector in model.named_buffers():
            vector.abs_() if name.endswith(("weight_u", "weight_v")) else None
    return model


@pytest.mark.parametrize("kind", ["oobleck", "dac", "seanet"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_spans_hold_all_dependencies_and_hardly_more(kind, seed):
    model = networks(kind, seed)
    for network, channels, up in (
        (model.encoder, model.io_channels, 1),
        (model.decoder, model.latent_dim, model.downsampling_ratio),
    ):
        first, last = input_span(network, 0, 0)
        # Long enough for the middle to see no end.
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
    RAN[kind] += 1


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
    RAN["attention"] += 1


def test_how_many_ran():
    assert min(RAN[kind] for kind in ("oobleck", "dac", "seanet", "attention")) >= 25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lstm": 1}, "LSTM"),
        ({"lstm": 0, "norm": "time_group_norm"}, "norm over time"),
        ({"lstm": 0, "pad_mode": "circular"}, "both ends"),
    ],
)
def test_what_sees_all_of_the_signal_has_no_span(changes, message):
    for network in (SeanetEncoder(n_filters=2, **changes), SeanetDecoder(n_filters=2, **changes)):
        with pytest.raises(NotImplementedError, match=message):
            input_span(network, 0, 0)


def test_a_causal_network_sees_nothing_later():
    shared = {"n_filters": 2, "lstm": 0, "ratios": (2, 3), "causal": True}
    assert input_span(SeanetEncoder(**shared), 4, 4)[1] == 29
    assert input_span(SeanetDecoder(**shared), 24, 29)[1] == 4
    assert input_span(SeanetDecoder(**shared, trim_right_ratio=0.0), 24, 29)[1] > 4


def test_an_unknown_layer_is_named():
    with pytest.raises(NotImplementedError, match="Bilinear"):
        input_span(torch.nn.Sequential(torch.nn.Bilinear(1, 1, 1)), 0, 0)
