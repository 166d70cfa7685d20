"""The Oobleck networks against upstream's."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from torch import nn

import zoo
from tests.examples import MINIMAL, random_oobleck
from zoo.nets.activations import Antialiased, SnakeBeta
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.oobleck import OobleckDecoder, OobleckEncoder

CONFIGS = 60


def pair(config):
    """Upstream's model and ours with its weights; Snake's parameters are not left at zero."""
    theirs = zoo.from_config(config, engine="stable-audio-tools")
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if name.endswith(("alpha", "beta")):
                weight.uniform_(-0.5, 0.5)
    ours = zoo.from_config(config)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@torch.no_grad()
def test_random_configs_equal_upstream():
    rng, torch_seed, ran = random.Random(0), 0, 0
    for _ in range(CONFIGS):
        torch.manual_seed(torch_seed := torch_seed + 1)
        config = random_oobleck(rng)
        ours, theirs = pair(config)
        frames = rng.randint(4, 12)
        audio = torch.randn(2, ours.io_channels, frames * ours.downsampling_ratio)
        expected = theirs.encode(audio, skip_bottleneck=True)
        torch.testing.assert_close(
            ours.encode(audio, skip_bottleneck=True), expected, atol=1e-5, rtol=1e-5
        )
        latents = torch.randn(2, ours.latent_dim, frames)
        torch.manual_seed(torch_seed)
        expected = theirs.decode(latents)
        torch.manual_seed(torch_seed)
        torch.testing.assert_close(ours.decode(latents), expected, atol=1e-5, rtol=1e-5)
        ran += 1
    assert ran == CONFIGS >= 50


@pytest.mark.parametrize(
    ("config", "weights"),
    [("oobleck_vae_44k", 156_112_514), (MINIMAL, None)],
    ids=["stable_audio_2", "minimal"],
)
def test_keys_and_shapes_equal_upstream(config, weights):
    with torch.device("meta"):
        ours = zoo.from_config(config).state_dict()
        theirs = zoo.from_config(config, engine="stable-audio-tools").state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    if weights is not None:
        assert sum(value.numel() for value in ours.values()) == weights


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("strides", [(1,), (3,), (1, 2), (5, 3), (2, 5, 7), (3, 1, 4)])
def test_lengths_are_exact_for_any_stride(strides, nearest):
    ratio = 1
    for stride in strides:
        ratio *= stride
    mults = [1] * len(strides)
    encoder = OobleckEncoder(1, 3, 4, mults, strides)
    decoder = OobleckDecoder(1, 3, 4, mults, strides, use_nearest_upsample=nearest)
    for frames in (1, 2, 5):
        latents = encoder(torch.randn(1, 1, frames * ratio))
        assert latents.shape[-1] == frames
        assert decoder(latents).shape[-1] == frames * ratio


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 3, 5])
def test_odd_strides_equal_upstream_away_from_the_right_edge(stride):
    config = random_oobleck(random.Random(1), strides=(stride,))
    del config["model"]["decoder"]["config"]["use_nearest_upsample"]
    ours, theirs = pair(config)
    ratio = ours.downsampling_ratio
    frames, edge = 100, ours.decoder_context[1] + 1
    latents = torch.randn(1, ours.latent_dim, frames)
    torch.manual_seed(0)
    expected = theirs.decode(latents)
    torch.manual_seed(0)
    given = ours.decode(latents)
    assert given.shape[-1] == frames * ratio
    inside = (frames - edge) * ratio
    torch.testing.assert_close(given[..., :inside], expected[..., :inside], atol=1e-5, rtol=1e-5)


def test_antialias_all_is_everywhere_and_true_is_upstreams_placement():
    def wrapped(network: nn.Module) -> int:
        return sum(isinstance(module, Antialiased) for module in network.modules())

    mults, strides = (1, 2), (2, 2)
    shared = {"c_mults": mults, "strides": strides, "use_snake": True}
    # 2 blocks of 3 units with 2 activations, one at each block's stride, one at the end.
    assert wrapped(OobleckEncoder(1, 2, 2, antialias_activation="all", **shared)) == 15
    assert wrapped(OobleckDecoder(1, 2, 2, antialias_activation="all", **shared)) == 15
    assert wrapped(OobleckEncoder(1, 2, 2, antialias_activation=True, **shared)) == 1
    assert wrapped(OobleckDecoder(1, 2, 2, antialias_activation=True, **shared)) == 3


def test_snake_is_its_formula():
    snake = SnakeBeta(3)
    with torch.no_grad():
        snake.alpha.normal_()
        snake.beta.normal_()
    x = torch.randn(2, 3, 50, dtype=torch.float64)
    alpha, beta = (p.double().exp().view(1, 3, 1) for p in (snake.alpha, snake.beta))
    expected = x + (alpha * x).sin() ** 2 / beta
    torch.testing.assert_close(snake.double()(x), expected, atol=1e-6, rtol=1e-6)


def test_checkpointing_changes_memory_not_gradients():
    torch.manual_seed(0)
    plain = OobleckEncoder(1, 4, 4, (1, 2), (2, 4), use_snake=True)
    saving = copy.deepcopy(plain)
    set_checkpointing(saving, True)
    audio = torch.randn(1, 1, 64)
    kept: dict[str, int] = {}
    for name, network in (("plain", plain), ("saving", saving)):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            latents = network(audio)
        kept[name] = sum(sizes)
        latents.square().sum().backward()
    for mine, other in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    set_checkpointing(saving, False)
    assert kept["saving"] < kept["plain"] / 2


def test_copies_are_independent_and_compile_without_breaks(tiny):
    model = zoo.from_config(tiny)
    twin = copy.deepcopy(model)
    audio = torch.randn(1, 2, 64)
    with torch.no_grad():
        expected = model(audio)
        twin.encoder.layers[0].weight_g.zero_()
        torch.testing.assert_close(model(audio), expected)
        assert not torch.equal(twin(audio), expected)
        for network, given in ((model.encoder, audio), (model.decoder, model.encode(audio))):
            compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
            torch.testing.assert_close(compiled(given), network(given))
