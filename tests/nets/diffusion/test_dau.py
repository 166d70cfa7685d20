"""The attention U-Net against upstream's, freed of the argument that it can't take."""

from __future__ import annotations

import copy
import inspect
import random

import pytest
import torch
from torch.nn import functional as F

from tests.nets.diffusion.examples_dau import random_dau_diffusion
from tests.oracle import import_upstream
from zoo.config.dau import DAU1DConfig
from zoo.config.problems import validate
from zoo.errors import ConfigError
from zoo.nets.activations import SnakeBeta
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.diffusion.dau import DAU1DCondWrapper, DiffusionAttnUnet1D
from zoo.nets.diffusion.dau_blocks import CubicDownsample, CubicUpsample, ResConvBlock

CONFIGS = 60
CHOICES = 400


@pytest.fixture
def upstream(monkeypatch):
    module = import_upstream("stable_audio_tools.models.diffusion")
    block = module.ResConvBlock

    class Swallowing(block):
        def __init__(self, *args, use_snake=False, **kwargs):
            assert not use_snake
            super().__init__(*args, **kwargs)

    attention = module.SelfAttention1d

    class OnCPU(attention):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.use_flash = False

    monkeypatch.setattr(module, "ResConvBlock", Swallowing)
    monkeypatch.setattr(module, "SelfAttention1d", OnCPU)
    return module


def part_of(section, channels, condition):
    part = validate(DAU1DConfig, section).completed(channels, condition)
    assert list(part.contradictions(channels, condition)) == []
    return part


def upstreams(upstream, part):
    options = dict(part.options())
    # `[1] + strides`: a list, not a tuple.
    options["strides"] = list(options["strides"])
    return upstream.DAU1DCondWrapper(**options)


@torch.no_grad()
def randomise(network):
    for name, parameter in network.named_parameters():
        spread = 0.3 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        centre = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
        parameter.normal_(centre, spread)


def random_part(rng):
    channels, condition = rng.choice((1, 2, 6)), rng.randint(1, 5)
    return part_of(random_dau_diffusion(rng, channels, condition), channels, condition)


def random_inputs(rng, part, shortest=3):
    samples = part.ratio * rng.randint(shortest, 9)
    x = torch.randn(rng.randint(1, 3), part.config.io_channels, samples)
    frames = rng.choice((samples, -(-samples // 2), 1))
    condition = torch.randn(len(x), part.config.cond_dim, frames)
    return x, torch.rand(len(x)), condition


def equal(ours, theirs):
    return (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def stretched(condition, x):
    return F.interpolate(condition, x.shape[-1], mode="nearest")


def test_random_configs_equal_upstream(upstream):
    rng, ran = random.Random(0), 0
    for number in range(CONFIGS):
        torch.manual_seed(number)
        part = random_part(rng)
        reference = upstreams(upstream, part).eval()
        randomise(reference)
        network = DAU1DCondWrapper(**part.options()).eval()
        assert list(network.state_dict()) == list(reference.state_dict())
        network.load_state_dict(reference.state_dict(), strict=True)
        x, t, condition = random_inputs(rng, part)
        condition.requires_grad_()
        output = network(x, t, input_concat_cond=condition)
        with torch.no_grad():
            # Its noise at strength 0 is what we take for eval mode.
            expected = reference.model(x, t, stretched(condition, x), cond_aug_scale=0.0)
        assert output.shape == x.shape
        assert equal(output, expected)
        output.square().mean().backward()
        assert condition.grad is not None and condition.grad.abs().max() > 0
        ran += 1
    assert ran == CONFIGS >= 50


def unsound(rng):
    """A config that may or may not contradict itself."""
    depth = rng.randint(1, 4)
    return {
        "io_channels": 2,
        "depth": depth,
        "n_attn_layers": rng.choice((0, 0, 1, 2, 5)),
        "channels": [rng.choice((31, 32, 40, 64, 67)) for _ in range(rng.randint(depth - 1, 5))],
        "cond_dim": 3,
        "kernel_size": rng.choice((1, 3, 3, 5, 5, 4)),
        "learned_resample": rng.random() < 0.5,
        "strides": [rng.choice((1, 2, 2, 2, 3)) for _ in range(rng.randint(depth - 1, 4))],
    }


def test_accepts_what_runs_upstream_and_nothing_else(upstream):
    rng, outcomes = random.Random(4), []
    for _ in range(CHOICES):
        options = unsound(rng)
        try:
            part = validate(DAU1DConfig, {"type": "DAU1d", "config": options})
            accepted = not list(part.contradictions(2, 3))
        except ConfigError:
            accepted = False
        x = torch.randn(1, 2, 8 * 27)
        try:
            network = upstream.DAU1DCondWrapper(**options)
            with torch.no_grad():
                runs = network(x, torch.rand(1), torch.randn(1, 3, 8 * 27)).shape == x.shape
        except (RuntimeError, ValueError, IndexError, AssertionError, ZeroDivisionError):
            runs = False
        assert accepted == runs, options
        outcomes.append(accepted)
    assert len(outcomes) == CHOICES and 50 < sum(outcomes) < CHOICES - 50


def test_constructor_draws_the_weights_of_upstream(upstream):
    rng, ran = random.Random(1), 0
    for number in range(CONFIGS):
        part = random_part(rng)
        options = part.options() | {"cond_noise_aug": False}
        torch.manual_seed(number)
        reference = upstream.DAU1DCondWrapper(**options | {"strides": list(options["strides"])})
        torch.manual_seed(number)
        ours = DAU1DCondWrapper(**options).state_dict()
        for key, value in reference.state_dict().items():
            assert torch.equal(ours[key], value), key
        ran += 1
    assert ran == CONFIGS >= 50


def test_training_augments_the_condition_as_upstream(upstream):
    rng, ran = random.Random(2), 0
    for number in range(20):
        torch.manual_seed(number)
        section = random_dau_diffusion(rng, 2, 3)
        section["config"]["cond_noise_aug"] = True
        part = part_of(section, 2, 3)
        reference = upstreams(upstream, part)
        randomise(reference)
        network = DAU1DCondWrapper(**part.options())
        network.load_state_dict(reference.state_dict())
        x, t, condition = random_inputs(rng, part)
        torch.manual_seed(number)
        with torch.no_grad():
            output = network(x, t, condition)
            torch.manual_seed(number)
            reference.model.rng = torch.quasirandom.SobolEngine(1, scramble=True)
            expected = reference(x, t, input_concat_cond=stretched(condition, x))
            assert equal(output, expected)
            assert not equal(network(x, t, condition), expected)
            network.eval()
            state = torch.get_rng_state()
            assert torch.equal(network(x, t, condition), network(x, t, condition))
            assert torch.equal(torch.get_rng_state(), state)
        ran += 1
    assert ran == 20


@torch.no_grad()
def test_runs_on_the_shortest_input_in_any_dtype():
    rng, ran = random.Random(3), 0
    for number in range(CONFIGS):
        torch.manual_seed(number)
        part = random_part(rng)
        network = DAU1DCondWrapper(**part.options()).eval()
        randomise(network)
        x = torch.randn(1, part.config.io_channels, part.ratio)
        condition = torch.randn(1, part.config.cond_dim, 1)
        assert network(x, torch.rand(1), condition).isfinite().all()
        x, t, condition = random_inputs(rng, part, shortest=1)
        wide = copy.deepcopy(network).double()(x.double(), t.double(), condition.double())
        assert wide.dtype == torch.float64
        # A norm over two or three values magnifies rounding.
        difference = network(x, t, condition) - wide
        assert difference.abs().max() <= 1e-3 * wide.abs().max()
        half = copy.deepcopy(network).bfloat16()(x.bfloat16(), t, condition.bfloat16())
        assert half.dtype == torch.bfloat16 and half.isfinite().all()
        ran += 1
    assert ran == CONFIGS >= 50


def test_recomputed_activations_give_the_same_gradients():
    torch.manual_seed(0)
    network = DAU1DCondWrapper(depth=3, n_attn_layers=1, channels=(32, 32, 64), cond_dim=3)
    x, t, condition = torch.randn(2, 2, 32), torch.rand(2), torch.randn(2, 3, 4)
    gradients = []
    for on in (False, True):
        set_checkpointing(network, on)
        network.zero_grad()
        network(x, t, condition).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_snake_takes_the_place_of_gelu():
    torch.manual_seed(0)
    network = DAU1DCondWrapper(
        depth=3, n_attn_layers=0, channels=(4, 5, 6), cond_dim=3, use_snake=True
    )
    blocks = [module for module in network.modules() if isinstance(module, ResConvBlock)]
    assert len(blocks) == 6 * 3
    assert sum(isinstance(m, SnakeBeta) for m in network.modules()) == 2 * len(blocks) - 1
    assert not any(isinstance(module, torch.nn.GELU) for module in network.modules())
    block = blocks[0]
    randomise(block)
    x = torch.randn(2, block.main[0].in_channels, 9)
    first, norm, snake, second, last_norm, last_snake = block.main
    alpha, beta = snake.alpha.exp()[:, None], snake.beta.exp()[:, None]
    y = norm(first(x))
    y = last_norm(second(y + (y * alpha).sin() ** 2 / beta))
    alpha, beta = last_snake.alpha.exp()[:, None], last_snake.beta.exp()[:, None]
    y = y + (y * alpha).sin() ** 2 / beta + block.skip(x)
    torch.testing.assert_close(block(x), y, atol=1e-5, rtol=1e-5)
    network(torch.randn(2, 2, 8), torch.rand(2), torch.randn(2, 3, 1)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_cubic_filters_are_those_of_upstream():
    blocks = import_upstream("stable_audio_tools.models.blocks")
    for ours, theirs in (
        (CubicDownsample(), blocks.Downsample1d("cubic")),
        (CubicUpsample(), blocks.Upsample1d("cubic")),
    ):
        assert torch.equal(ours.kernel, theirs.kernel)


def test_defaults_are_those_of_upstream(upstream):
    theirs = inspect.signature(upstream.DiffusionAttnUnet1D).parameters
    ours = inspect.signature(DiffusionAttnUnet1D).parameters
    assert list(ours) == list(theirs)
    config = validate(DAU1DConfig, {"type": "DAU1d"}).config
    assert set(type(config).model_fields) == {*theirs, "diffusion_objective"}
    for name, parameter in theirs.items():
        default = parameter.default
        default = tuple(default) if isinstance(default, list) else default
        assert ours[name].default == default, name
        if name not in ("io_channels", "cond_dim"):
            assert getattr(config, name) == default, name
