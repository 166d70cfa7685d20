"""The U-Net of audio-diffusion-pytorch against upstream's class with the same weights."""

from __future__ import annotations

import copy
import random

import pytest
import torch

from tests.nets.diffusion.examples_adp import random_adp_1d_diffusion
from tests.oracle import import_upstream
from zoo.config.adp import ADP1DConfig
from zoo.nets.diffusion.adp import UNet1DCondWrapper

COMPARED = 80
COMPARED_STFT = 50
LENGTHS = 60


@pytest.fixture(scope="module")
def upstream():
    return import_upstream("stable_audio_tools.models.diffusion").UNet1DCondWrapper


@pytest.fixture
def upstream_stft(upstream, monkeypatch):
    """Upstream with its three defects in the STFT repaired."""
    module = import_upstream("stable_audio_tools.models.adp")
    istft = torch.istft

    def inverse(x, *args, **kwargs):
        x = x if x.is_complex() else torch.view_as_complex(x)
        return istft(x, *args, **kwargs)

    def get_channels(self, channels_list=None, layer=0):
        if not (self.use_context_channels and self.has_context[layer]):
            return None
        return self.stft.encode1d(channels_list[0])

    monkeypatch.setattr(module.torch, "istft", inverse)
    monkeypatch.setattr(module.UNet1d, "get_channels", get_channels)
    return upstream


def made(rng, channels, condition, **choice):
    section = random_adp_1d_diffusion(rng, channels, condition, **choice)
    part = ADP1DConfig.model_validate(section).completed(channels, condition)
    assert list(part.contradictions(channels, condition)) == []
    return part


def randomised(network):
    with torch.no_grad():
        for weight in network.parameters():
            scale = weight[0].numel() ** -0.5 if weight.dim() > 1 else 0.3
            weight.normal_(0, scale)
    return network


def pair(upstream, options, **extra):
    reference = randomised(upstream(**options, **extra)).eval()
    network = UNet1DCondWrapper(**options).eval()
    state = reference.state_dict()
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert shapes == {key: value.shape for key, value in state.items()}
    network.load_state_dict(state, strict=True)
    return network, reference


def assert_equal(given, expected):
    assert given.shape == expected.shape
    assert expected.std() > 1e-3
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_random_configs_equal_upstream(upstream):
    rng, ran, seen = random.Random(0), 0, set()
    for number in range(COMPARED):
        torch.manual_seed(number)
        channels, condition = rng.randint(1, 3), rng.randint(1, 4)
        part = made(rng, channels, condition)
        network, reference = pair(upstream, part.options())
        # Two frames at least, since upstream's norms refuse groups of one value.
        samples = rng.randint(2, 6) * part.ratio
        x, t = torch.randn(2, channels, samples), torch.rand(2)
        latents = torch.randn(2, condition, rng.choice((1, 2, samples)), requires_grad=True)
        given = network(x, t, latents)
        with torch.no_grad():
            assert_equal(given, reference(x, t, input_concat_cond=latents))
        given.square().sum().backward()
        assert latents.grad is not None and latents.grad.isfinite().all()
        assert latents.grad.abs().max() > 0
        for name, weight in network.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all(), name
            seen |= {key for key in ("attention", "upsample.1") if key in name}
        ran += 1
    assert ran == COMPARED >= 50
    assert seen == {"attention", "upsample.1"}


@torch.no_grad()
def test_global_condition_and_cross_attention_equal_upstream(upstream):
    rng, ran = random.Random(1), 0
    while ran < 20:
        torch.manual_seed(ran)
        part = made(rng, 2, 3)
        options = part.options() | {"context_features": 4, "context_embedding_features": 6}
        network, reference = pair(upstream, options)
        if not any("cross_attention" in key for key in network.state_dict()):
            continue
        x, t = torch.randn(2, 2, 4 * part.ratio), torch.rand(2)
        mask = torch.rand(2, 5) < 0.6
        arguments = {
            "input_concat_cond": torch.randn(2, 3, 4),
            "global_cond": torch.randn(2, 4),
            "embedding": torch.randn(2, 5, 6),
        }
        for extra in ({}, {"embedding_mask": mask}):
            given = network(x, t, **arguments, **extra)
            assert_equal(given, reference(x, t, **arguments, **extra))
        for key in ("global_cond", "embedding"):
            changed = arguments | {key: torch.randn_like(arguments[key])}
            assert (network(x, t, **changed, **extra) - given).abs().max() > 1e-4
        ran += 1
    assert ran == 20


@torch.no_grad()
def test_stft_equals_upstream_repaired(upstream_stft):
    rng, ran = random.Random(2), 0
    for number in range(COMPARED_STFT):
        torch.manual_seed(number)
        part = made(rng, 2, 3, stft=True)
        config = part.config
        # Upstream needs frames that the U-Net can divide, and ends that can be mirrored.
        multiple = part.ratio // config.stft_hop_length
        frames = multiple * rng.randint(2, 4)
        samples = config.stft_hop_length * (frames - 1 + config.stft_num_fft % 2)
        while samples <= config.stft_num_fft // 2:
            samples += config.stft_hop_length * multiple
        network, reference = pair(upstream_stft, part.options(), stft_length=samples)
        x, t, latents = torch.randn(2, 2, samples), torch.rand(2), torch.randn(2, 3, 4)
        assert_equal(network(x, t, latents), reference(x, t, input_concat_cond=latents))
        ran += 1
    assert ran == COMPARED_STFT >= 50


@torch.no_grad()
def test_every_multiple_of_the_ratio_comes_back():
    rng, ran = random.Random(3), 0
    for number in range(LENGTHS):
        torch.manual_seed(number)
        part = made(rng, 2, 3, stft=number % 2 == 1)
        network = randomised(UNet1DCondWrapper(**part.options())).eval()
        for count in (1, 2, 3, 7):
            x = torch.randn(1, 2, count * part.ratio)
            output = network(x, torch.rand(1), torch.randn(1, 3, 1))
            assert output.shape == x.shape
            assert output.isfinite().all()
        ran += 1
    assert ran == LENGTHS >= 50


def test_stft_has_finite_gradients():
    rng, ran = random.Random(4), 0
    for number in range(20):
        torch.manual_seed(number)
        part = made(rng, 1, 2, stft=True)
        network = randomised(UNet1DCondWrapper(**part.options()))
        latents = torch.randn(1, 2, 3, requires_grad=True)
        network(torch.zeros(1, 1, part.ratio * 2), torch.rand(1), latents).square().sum().backward()
        assert latents.grad is not None and latents.grad.isfinite().all()
        assert latents.grad.abs().max() > 0
        ran += 1
    assert ran == 20


@pytest.mark.parametrize("stft", [False, True])
@torch.no_grad()
def test_precisions(stft):
    rng, ran, errors = random.Random(5), 0, []
    for number in range(20):
        torch.manual_seed(number)
        part = made(rng, 2, 3, stft=stft)
        # Rounding may turn a phase of π into one of -π.
        options = part.options() | ({"stft_use_complex": True} if stft else {})
        network = randomised(UNet1DCondWrapper(**options)).eval()
        x, latents = torch.randn(2, 2, 4 * part.ratio), torch.randn(2, 3, 4)
        t = torch.rand(2)
        exact = copy.deepcopy(network).double()(x.double(), t.double(), latents.double())
        assert exact.dtype == torch.float64
        torch.testing.assert_close(network(x, t, latents).double(), exact, rtol=1e-3, atol=1e-3)
        for time in (t, t.bfloat16()):
            half = copy.deepcopy(network).bfloat16()(x.bfloat16(), time, latents)
            assert half.dtype == torch.bfloat16
            with torch.autocast("cpu", torch.bfloat16):
                assert network(x, time, latents).isfinite().all()
            errors.append(((half - exact).norm() / exact.norm()).item())
        ran += 1
    assert ran == 20
    # A group of few values may be moved anywhere by its norm, but not all of them.
    assert sorted(errors)[len(errors) // 2] < 0.05


def test_starts_as_upstream_does(upstream):
    rng, ran = random.Random(6), 0
    for number in range(20):
        options = made(rng, 2, 3).options() | {"context_features": 4}
        torch.manual_seed(number)
        expected = upstream(**options).state_dict()
        torch.manual_seed(number)
        given = UNet1DCondWrapper(**options).state_dict()
        assert all(torch.equal(given[key], expected[key]) for key in expected)
        ran += 1
    assert ran == 20


@torch.no_grad()
def test_the_time_matters_and_no_global_numbers_are_drawn():
    part = made(random.Random(7), 2, 3)
    options = part.options() | {"use_context_time": True}
    network = randomised(UNet1DCondWrapper(**options)).eval()
    x, latents = torch.randn(1, 2, 4 * part.ratio), torch.randn(1, 3, 4)
    before = torch.get_rng_state()
    early = network(x, torch.tensor([0.1]), latents)
    assert torch.equal(early, network(x, torch.tensor([0.1]), latents))
    assert torch.equal(before, torch.get_rng_state())
    assert (early - network(x, torch.tensor([0.9]), latents)).abs().max() > 1e-3


@torch.no_grad()
def test_compiles_without_breaks():
    part = made(random.Random(8), 2, 3)
    network = randomised(UNet1DCondWrapper(**part.options())).eval()
    given = torch.randn(1, 2, 4 * part.ratio), torch.rand(1), torch.randn(1, 3, 4)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*given), network(*given), rtol=1e-4, atol=1e-4)
