"""Names of the configs and recipes that come with the package."""

from __future__ import annotations

import pytest

import zoo
from zoo.config.library import INCLUDED, find, folder, list_models, model_named
from zoo.config.load import load_config
from zoo.errors import CheckpointError, ConfigError


def test_a_rate_may_be_left_out():
    assert find("configs", "starter") == folder("configs") / f"{INCLUDED}.json"
    assert load_config("oobleck_vae") == load_config("oobleck_vae_44k")
    for name in list_models():
        assert model_named(name) == name


def test_but_not_where_it_decides():
    with pytest.raises(ConfigError, match="model 'dac': which one\\? dac_16k, dac_24k, dac_44k"):
        find("configs", "dac")
    assert model_named("dac") is None
    with pytest.raises(CheckpointError, match="dac: no such file or folder"):
        zoo.from_pretrained("dac")


@pytest.mark.parametrize("name", ["start", "starter_22", "starter_", "22k", "", "starter_44k"])
def test_and_nothing_else(name):
    assert model_named(name) is None
    with pytest.raises(ConfigError, match="unknown model"):
        find("configs", name)


def test_recipes_have_their_whole_names():
    assert find("recipes", "starter") != find("recipes", "starter_pretrained")
    with pytest.raises(ConfigError, match="unknown recipe"):
        find("recipes", INCLUDED)
