"""Fast models: the same as the model, for every shipped config; nothing of it is changed."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

import zoo
from tests.shrunk import CONFIGS, shrunk_autoencoder
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder
from zoo.nets.prepared import FoldedNetwork
from zoo.nets.rows.network import RowNetwork

NAMES = sorted(path.stem for path in CONFIGS.glob("*.json"))


def test_there_are_configs():
    assert len(NAMES) > 15


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
def test_equals_the_model(name):
    torch.manual_seed(0)
    model = zoo.from_config(shrunk_autoencoder(name))
    keys = list(model.state_dict())
    fast = zoo.fast(model)
    audio = torch.randn(2, model.in_channels, 3 * model.min_length + 5) / 4
    exact = partial(model.encode, skip_bottleneck=True)
    expected, made = exact(audio), fast.encode(audio, skip_bottleneck=True)
    assert made.shape == expected.shape
    assert (made - expected).abs().max() < 1e-5 * max(1, float(expected.abs().max()))
    if not isinstance(model, DiffusionAutoencoder):
        latents = torch.randn(1, model.latent_dim, 5)
        expected, made = (m.decode(latents, skip_bottleneck=True) for m in (model, fast))
        assert (made - expected).abs().max() < 1e-5 * max(1, float(expected.abs().max()))
    assert list(model.state_dict()) == keys
    assert not any(isinstance(part, RowNetwork | FoldedNetwork) for part in model.modules())


@pytest.mark.parametrize(
    ("name", "kind"), [("oobleck_vae_44k", RowNetwork), ("encodec_24k", FoldedNetwork)]
)
def test_takes_the_way_that_fits(name, kind):
    fast = zoo.fast(zoo.from_config(shrunk_autoencoder(name)))
    assert isinstance(fast.encoder, kind) and isinstance(fast.decoder, kind)


def test_weights_are_shared_and_watched():
    model = zoo.from_config(shrunk_autoencoder("encodec_24k"))
    fast = zoo.fast(model)
    audio = torch.randn(1, model.in_channels, model.min_length)
    with torch.no_grad():
        fast.encode(audio)
        for weight in model.encoder.parameters():
            weight.mul_(1.1)
        assert torch.allclose(fast.encode(audio), model.encode(audio), atol=1e-5)
    assert {id(p) for p in fast.parameters()} == {id(p) for p in model.parameters()}


def test_state_dicts_are_the_models():
    torch.manual_seed(0)
    for name in ("oobleck_vae_44k", "encodec_24k"):
        model, other = (zoo.from_config(shrunk_autoencoder(name)) for _ in range(2))
        fast = zoo.fast(model)
        assert list(fast.state_dict()) == list(model.state_dict())
        assert zoo.Codec(fast).fingerprint == zoo.Codec(model).fingerprint
        fast.load_state_dict(other.state_dict())
        for key, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[key])


def test_other_models_come_back():
    other = object()
    assert zoo.fast(other) is other
    plain = nn.Sequential(nn.Linear(1, 1))
    assert torch.equal(zoo.fast(plain)(torch.ones(1, 1)), plain(torch.ones(1, 1)))
