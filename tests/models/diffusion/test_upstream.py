"""Whole diffusion autoencoders against upstream's, which start from the same noise."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from tests.models.diffusion.examples import lively, random_diffusion_autoencoder
from tests.oracle import import_upstream
from zoo.config.load import load_config
from zoo.interop import build_upstream, quiet, upstream_form
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder
from zoo.models.diffusion.process import VProcess

COMPARED = 30
AUTOENCODERS = "stable_audio_tools.models.autoencoders"


@pytest.fixture
def mean_of_vae(monkeypatch):
    """Upstream's VAE gives its mean, as ours does in eval mode."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)


@pytest.fixture
def repaired_dau(monkeypatch):
    """Upstream's `DAU1d` can be built: its blocks swallow the argument that they don't know."""
    module = import_upstream("stable_audio_tools.models.diffusion")
    block = module.ResConvBlock

    class Swallowing(block):
        def __init__(self, *args, use_snake=False, **kwargs):
            assert not use_snake
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(module, "ResConvBlock", Swallowing)


def config_for_upstream(rng, kind, decoder):
    config = random_diffusion_autoencoder(rng, kind, decoder=decoder)
    parameters = config["model"]["diffusion"]["config"]
    # upstream: fails with the timestep at the input, and ignores windows without flash-attn.
    parameters.pop("timestep_cond_type", None)
    parameters.pop("sliding_window", None)
    # upstream: draws noise for the condition when it decodes, too.
    parameters.pop("cond_noise_aug", None)
    return config


def built_by_force(container):
    """Upstream's class also where `build_upstream` refuses, its lists as lists."""
    with quiet():
        module = import_upstream(AUTOENCODERS)
        return module.create_diffAE_from_config(upstream_form(container)).eval()


def decode_upstream(theirs: nn.Module, latents, steps):
    """With a decoder, its call of itself means that decoder."""
    decode = type(theirs).decode
    if theirs.decoder is not None:
        theirs.__dict__["decode"] = theirs.decoder
    with quiet():
        return decode(theirs, latents, steps=steps)


def compare(seed, kind, decoder, build):
    rng = random.Random(seed)
    config = config_for_upstream(rng, kind, decoder)
    ours, theirs = lively(config, seed), build(load_config(config))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    # upstream: reflects shorter signals beyond themselves, and fails.
    audio = torch.randn(2, 2, ours.min_length * (32 // ours.min_length + rng.randint(4, 6)))
    latents = ours.encode(audio)
    torch.testing.assert_close(latents, theirs.encode(audio), atol=1e-5, rtol=1e-4)
    steps = rng.randint(1, 4)
    torch.manual_seed(seed)
    expected = decode_upstream(theirs, latents, steps)
    torch.manual_seed(seed)
    noise = torch.randn(2, ours.inner_channels, latents.shape[-1] * ours.inner_ratio)
    found = ours.decode(latents, steps=steps, noise=noise)
    peak = float(expected.abs().max().clamp(min=1))
    torch.testing.assert_close(found, expected, atol=2e-5 * peak, rtol=1e-4)
    return config["model"]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dit", "adp_1d"])
def test_equals_upstream_without_decoder(mean_of_vae, kind):
    models = [compare(seed, kind, False, build_upstream) for seed in range(COMPARED)]
    assert len(models) == COMPARED
    for part in ("encoder", "bottleneck", "pretransform"):
        assert 0 < sum(part in model for model in models) < COMPARED


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dit", "adp_1d"])
def test_equals_upstream_with_decoder(mean_of_vae, kind):
    models = [compare(seed, kind, True, built_by_force) for seed in range(COMPARED)]
    assert sum("decoder" in model for model in models) == COMPARED
    ratios = [len(model["decoder"]["config"]["strides"]) for model in models]
    assert set(ratios) == {1, 2}


@torch.no_grad()
@pytest.mark.parametrize("decoder", [False, True])
def test_dau_equals_repaired_upstream(mean_of_vae, repaired_dau, decoder):
    models = [compare(seed, "DAU1d", decoder, built_by_force) for seed in range(20)]
    assert len(models) == 20


def test_the_encoder_begins_at_half_as_upstreams_does():
    encoder, theirs = nn.Linear(3, 5), nn.Linear(3, 5)
    theirs.load_state_dict(encoder.state_dict())
    before = encoder.weight.clone()
    given = {"latent_dim": 5, "downsampling_ratio": 1, "sample_rate": 16000}
    DiffusionAutoencoder(nn.Identity(), VProcess(), 1, 1, 2, encoder=encoder, **given)
    import_upstream(AUTOENCODERS).DiffusionAutoencoder(nn.Identity(), 1, theirs, None, **given)
    assert torch.equal(encoder.weight, before / 2) and encoder.weight.requires_grad
    assert torch.equal(encoder.weight, theirs.weight)
    assert torch.equal(encoder.bias, theirs.bias)
