"""The DAC networks against upstream's."""

from __future__ import annotations

import copy
import random

import pytest
import torch

import zoo
from tests.examples import random_dac
from zoo.factory import create_decoder_from_config, create_encoder_from_config
from zoo.nets.activations import Snake1d
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.dac import DacDecoder, DacEncoder

CONFIGS = 60


def pair(config):
    """Upstream's model and ours with its weights; Snake's parameters are not left at one."""
    theirs = zoo.from_config(config, engine="stable-audio-tools")
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if name.endswith("alpha"):
                weight.uniform_(0.5, 2)
    ours = zoo.from_config(config)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@torch.no_grad()
def test_random_configs_equal_upstream():
    rng, ran = random.Random(0), 0
    for seed in range(CONFIGS):
        torch.manual_seed(seed)
        config = random_dac(rng)
        ours, theirs = pair(config)
        frames = rng.randint(2, 10)
        audio = torch.randn(2, ours.io_channels, frames * ours.downsampling_ratio)
        torch.testing.assert_close(
            ours.encode(audio, skip_bottleneck=True),
            theirs.encode(audio, skip_bottleneck=True),
            atol=1e-5,
            rtol=1e-5,
        )
        latents = torch.randn(2, ours.latent_dim, frames)
        torch.testing.assert_close(
            ours.decode(latents), theirs.decode(latents), atol=1e-5, rtol=1e-5
        )
        ran += 1
    assert ran == CONFIGS >= 50


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [
        ("stable_audio_1_44k", 89_574_656, 43_856_644),
        ("dac_vae_44k", 90_491_200, 44_101_730),
    ],
)
def test_shipped_configs_have_upstreams_keys_and_counts(name, encoder, decoder):
    with torch.device("meta"):
        model = zoo.from_config(name)
        theirs = zoo.from_config(name, engine="stable-audio-tools").state_dict()
    ours = model.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert sum(weight.numel() for weight in model.encoder.parameters()) == encoder
    assert sum(weight.numel() for weight in model.decoder.parameters()) == decoder


@torch.no_grad()
@pytest.mark.parametrize("strides", [(1,), (3,), (1, 2), (3, 5), (2, 5, 7), (3, 1, 4)])
def test_lengths_are_exact_for_any_stride(strides):
    ratio = 1
    for stride in strides:
        ratio *= stride
    encoder = DacEncoder(2, strides, latent_dim=3)
    decoder = DacDecoder(3, 17, strides[::-1])
    for frames in (1, 2, 5):
        latents = encoder(torch.randn(1, 1, frames * ratio))
        assert latents.shape == (1, 3, frames)
        assert decoder(latents).shape == (1, 1, frames * ratio)


@torch.no_grad()
def test_odd_strides_equal_upstream_away_from_the_right_edge():
    config = random_dac(random.Random(1), strides=(1, 3, 5))
    ours, theirs = pair(config)
    frames, edge = 60, ours.decoder_context[1] + 1
    latents = torch.randn(1, ours.latent_dim, frames)
    given, expected = ours.decode(latents), theirs.decode(latents)
    assert given.shape[-1] == frames * ours.downsampling_ratio != expected.shape[-1]
    inside = (frames - edge) * ours.downsampling_ratio
    assert inside > 0
    torch.testing.assert_close(given[..., :inside], expected[..., :inside], atol=1e-5, rtol=1e-5)


def test_snake_is_its_formula():
    snake = Snake1d(3).double()
    with torch.no_grad():
        snake.alpha.uniform_(0.5, 2)
    x = torch.randn(2, 3, 50, dtype=torch.float64)
    expected = x + (snake.alpha * x).sin() ** 2 / snake.alpha
    torch.testing.assert_close(snake(x), expected, atol=1e-7, rtol=1e-7)


def test_required_parameters_are_required_and_widths_fit():
    with pytest.raises(zoo.ConfigError) as error:
        create_encoder_from_config({"type": "dac", "config": {"latent_dim": 8}})
    assert {problem.path for problem in error.value.problems} == {
        "config.d_model",
        "config.strides",
    }
    with pytest.raises(zoo.ConfigError) as error:
        create_decoder_from_config({"type": "dac", "config": {}})
    assert {problem.path for problem in error.value.problems} == {
        "config.latent_dim",
        "config.channels",
        "config.rates",
    }
    config = random_dac(random.Random(0))
    config["model"]["decoder"]["config"]["channels"] = 1
    config["model"]["decoder"]["config"]["rates"] = [7]
    with pytest.raises(zoo.ConfigError) as error:
        zoo.from_config(config)
    paths = {problem.path for problem in error.value.problems}
    assert paths == {"model.decoder.config.channels", "model.decoder.config.rates"}


def test_a_step_reaches_every_weight_and_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    plain = zoo.from_config(random_dac(random.Random(3))).train()
    saving = copy.deepcopy(plain)
    set_checkpointing(saving, True)
    audio = torch.randn(1, plain.io_channels, 6 * plain.downsampling_ratio)
    for model in (plain, saving):
        torch.manual_seed(1)
        latents = model.encode(audio)
        assert latents.shape[-1] == 6
        model.decode(latents).square().sum().backward()
    for mine, other in zip(plain.parameters(), saving.parameters(), strict=True):
        assert mine.grad is not None
        assert mine.grad.isfinite().all()
        torch.testing.assert_close(mine.grad, other.grad)


@torch.no_grad()
def test_copies_are_independent_and_compile_without_breaks():
    encoder, decoder = DacEncoder(3, (2, 3), 4, 2), DacDecoder(4, 12, (3, 2), 2)
    audio, latents = torch.randn(1, 2, 60), torch.randn(1, 4, 10)
    for network, given in ((encoder, audio), (decoder, latents)):
        twin, expected = copy.deepcopy(network), network(given)
        for weight in twin.parameters():
            weight.zero_()
        torch.testing.assert_close(network(given), expected)
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(given), expected)
