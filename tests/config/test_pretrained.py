"""The configs that name published weights say the same as the packages that published them."""

from __future__ import annotations

import inspect

import pytest

import zoo
from zoo.checkpoints.published import _DAC_FILES
from zoo.config.load import load_config
from zoo.config.published import (
    AUDIOCRAFT_SIZES,
    DAC_SIZES,
    audiocraft_autoencoder,
    dac_autoencoder,
)
from zoo.config.resolve import resolve_recipe
from zoo.errors import ConfigError

NAMES = zoo.list_models(pretrained=True)


def test_they_are_listed():
    assert len(NAMES) >= 8
    assert set(NAMES) == {n for n in zoo.list_models() if load_config(n).published is not None}
    assert "oobleck_vae_44k" not in NAMES


@pytest.mark.parametrize("rate", ["44", "24", "16"])
def test_dac(rate):
    dac = pytest.importorskip("dac")
    source = inspect.getsource(dac.utils)
    container = load_config(f"dac_{rate}k")
    expected = load_config(dac_autoencoder(DAC_SIZES[f"{rate}khz", "8kbps"]))
    assert (container.model, container.sample_rate) == (expected.model, expected.sample_rate)
    tag, file = _DAC_FILES[f"{rate}khz", "8kbps"]
    assert container.published is not None and container.published.url is not None
    assert container.published.url.endswith(f"/{tag}/{file}")
    assert container.published.url in source


@pytest.mark.parametrize("rate", ["24", "48"])
def test_encodec(rate):
    model = pytest.importorskip("encodec.model")
    published = load_config(f"encodec_{rate}k").published
    assert published is not None and published.url is not None
    assert published.url == model.ROOT_URL + published.file
    assert f"'{published.file}'" in inspect.getsource(model)
    # The package takes the checksum from the name, as this says.
    assert published.file.endswith(f"-{published.sha256}.th")


def test_encodec_of_musicgen():
    container = load_config("encodec_32k")
    sizes = AUDIOCRAFT_SIZES["facebook/encodec_32khz"]
    assert container.model == load_config(audiocraft_autoencoder(sizes)).model


def test_stable_audio_open():
    names = [name for name in NAMES if "Stability" in (load_config(name).published.licence or "")]
    assert len(names) == 2
    for name in names:
        container = load_config(name)
        assert container.model == load_config("oobleck_vae_44k").model
        assert container.published is not None and container.published.login


def test_what_is_trained_does_not_name_them():
    recipe = resolve_recipe("oobleck_vae", "dac_16k", ["data.segment_samples=64000"])
    assert recipe.container().published is None
    assert recipe.container().model == load_config("dac_16k").model


def test_a_wrong_section_is_refused(tiny):
    tiny["published"] = {"repositry": "a/b", "sha256": "xyz"}
    with pytest.raises(ConfigError) as error:
        load_config(tiny)
    told = {problem.path: problem.message for problem in error.value.problems}
    assert "did you mean 'repository'" in told["published.repositry"]
    assert {"published.file", "published.sha256"} <= told.keys()
