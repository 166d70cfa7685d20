"""From config to network."""

from __future__ import annotations

import copy
import random

import pytest
import torch

import zoo
from tests.examples import STANDARD, random_local_attention, random_taae
from zoo import factory
from zoo.config.load import load_config
from zoo.errors import ConfigError


def test_models_come_in_eval_mode_with_their_config(tiny):
    before = copy.deepcopy(tiny)
    model = zoo.from_config(tiny)
    assert tiny == before
    assert not model.training
    assert model.config == load_config(tiny)
    twice = zoo.from_config(model.config)
    assert twice.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("function", ["create_model_from_config", "create_autoencoder_from_config"])
def test_upstreams_names_take_upstreams_dicts(tiny, function):
    before = copy.deepcopy(tiny)
    model = getattr(factory, function)(tiny)
    assert tiny == before
    assert model.latent_dim == 3


def test_parts_by_upstreams_names(tiny):
    parts = tiny["model"]
    audio = torch.randn(1, 2, 16)
    encoder = factory.create_encoder_from_config(parts["encoder"])
    decoder = factory.create_decoder_from_config(parts["decoder"])
    bottleneck = factory.create_bottleneck_from_config(parts["bottleneck"])
    assert decoder(bottleneck.encode(encoder(audio))).shape == audio.shape
    patched = {"type": "patched", "config": {"channels": 2, "patch_size": 4}}
    pretransform = factory.create_pretransform_from_config(patched, 16000)
    assert torch.equal(pretransform.decode(pretransform.encode(audio)), audio)


@pytest.mark.parametrize(
    ("part", "config", "message"),
    [
        ("encoder", {"type": "oblek"}, "type: unknown value 'oblek'"),
        ("decoder", {"type": "oobleck", "config": {"stride": 2}}, "config.stride: unknown key"),
        ("bottleneck", {"type": "vea"}, "type: unknown value 'vea'; did you mean 'vae'"),
        ("bottleneck", {}, "type: required"),
    ],
)
def test_parts_are_checked(part, config, message):
    create = getattr(factory, f"create_{part}_from_config")
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        create(config)


def test_nothing_is_allocated_for_a_refused_config(monkeypatch):
    def allocated(*args, **kwargs):
        raise AssertionError("allocated")

    monkeypatch.setattr(factory, "create_encoder_from_config", allocated)
    with pytest.raises(ConfigError):
        zoo.from_config(STANDARD)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="unknown engine"):
        zoo.from_config("minimal_22k", engine="upstrem")


def test_engine_of_upstream_refuses_what_it_has_not(tiny):
    tiny["model"]["encoder"]["config"]["antialias_activation"] = "all"
    zoo.from_config(tiny)
    with pytest.raises(ConfigError, match=r"model.encoder.config.antialias_activation"):
        zoo.from_config(tiny, engine="stable-audio-tools")


@pytest.mark.parametrize("kind", [random_taae, random_local_attention])
def test_engine_of_upstream_refuses_what_it_can_not_build(kind):
    with pytest.raises(ConfigError, match=r"model.encoder.type: upstream can't build"):
        zoo.from_config(kind(random.Random(0)), engine="stable-audio-tools")


def test_engine_of_upstream_refuses_what_it_has_not_inside_a_pretransform(tiny):
    inner = copy.deepcopy(tiny["model"])
    inner["decoder"]["config"]["antialias_activation"] = "all"
    tiny["model"]["encoder"]["config"]["in_channels"] = 3
    tiny["model"]["decoder"]["config"]["out_channels"] = 3
    tiny["model"]["downsampling_ratio"] = 64
    tiny["model"]["pretransform"] = {"type": "autoencoder", "config": inner}
    zoo.from_config(tiny)
    with pytest.raises(ConfigError, match=r"pretransform.config.decoder.config.antialias_activ"):
        zoo.from_config(tiny, engine="stable-audio-tools")
    bands = {"type": "pqmf", "config": {"num_bands": 8, "channels": 2}}
    tiny["model"]["pretransform"] = bands
    tiny["model"]["encoder"]["config"]["in_channels"] = 16
    tiny["model"]["decoder"]["config"]["out_channels"] = 16
    zoo.from_config(tiny)
    with pytest.raises(ConfigError, match=r"model.pretransform.type: 'pqmf' fails upstream"):
        zoo.from_config(tiny, engine="stable-audio-tools")


def test_without_upstream_the_error_says_how_to_install_it(tiny, monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("stable_audio_tools")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_audio_tools", None)
    with pytest.raises(zoo.ZooError, match=r"pip install --no-deps stable-audio-tools==0\.0\.19"):
        zoo.from_config(tiny, engine="stable-audio-tools")
