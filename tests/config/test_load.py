"""Configs are read, refused with every problem at once, and never changed."""

from __future__ import annotations

import copy
import json

import pytest
from pydantic import ValidationError

import zoo
from tests.examples import DIFFUSION, MINIMAL, STANDARD
from zoo.config.load import load_config, parse_schema
from zoo.config.model import DiffusionAutoencoderConfigContainer
from zoo.errors import ConfigError


def refusals(config) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        load_config(config)
    return {problem.path: problem.message for problem in error.value.problems}


def test_every_shipped_config_loads_and_comes_back_the_same():
    names = zoo.list_models()
    assert len(names) >= 4
    for name in names:
        config = load_config(name)
        assert load_config(config.to_dict()) == config


def test_the_schema_takes_all_three_examples():
    for example in (MINIMAL, STANDARD, DIFFUSION):
        before = copy.deepcopy(example)
        assert parse_schema(example).sample_rate == example["sample_rate"]
        assert example == before


def test_a_diffusion_section_makes_a_diffusion_autoencoder():
    assert isinstance(parse_schema(DIFFUSION), DiffusionAutoencoderConfigContainer)


def test_the_contradicting_example_names_each_contradiction():
    problems = refusals(STANDARD)
    assert set(problems) == {
        "model.encoder.config.strides",
        "model.decoder.config.strides",
        "model.encoder.config.latent_dim",
    }
    assert "256" in problems["model.encoder.config.latent_dim"]
    assert "2x4x8x8 = 512" in problems["model.decoder.config.strides"]


def test_all_schema_problems_at_once_with_the_users_own_paths(tiny):
    model = tiny["model"]
    model["encoder"]["config"]["stride"] = model["encoder"]["config"].pop("strides")
    model["encoder"]["config"]["channels"] = True
    model["decoder"]["type"] = "ooblek"
    model["bottleneck"]["type"] = "va"
    model["io_channels"] = "2"
    del model["latent_dim"]
    tiny["smaple_size"] = 8
    problems = refusals(tiny)
    assert set(problems) == {
        "model.encoder.config.stride",
        "model.encoder.config.channels",
        "model.decoder.type",
        "model.bottleneck.type",
        "model.io_channels",
        "model.latent_dim",
        "smaple_size",
    }
    assert problems["model.encoder.config.stride"].endswith("did you mean 'strides'?")
    assert "did you mean 'oobleck'?" in problems["model.decoder.type"]
    assert "did you mean 'vae'?" in problems["model.bottleneck.type"]
    assert problems["smaple_size"].endswith("did you mean 'sample_size'?")
    assert problems["model.latent_dim"] == "required, but missing"


def test_a_misspelt_key_inside_a_union_member_is_found(tiny):
    tiny["model"]["bottleneck"] = {"type": "wasserstein", "config": {"noise_augment": 2}}
    assert refusals(tiny) == {
        "model.bottleneck.config.noise_augment": ("unknown key; did you mean 'noise_augment_dim'?")
    }


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("downsampling_ratio",), 16, "model.encoder.config.strides"),
        (("encoder", "config", "strides"), [8], "model.encoder.config.strides"),
        (("encoder", "config", "latent_dim"), 3, "model.encoder.config.latent_dim"),
        (("decoder", "config", "latent_dim"), 6, "model.decoder.config.latent_dim"),
        (("encoder", "config", "in_channels"), 1, "model.encoder.config.in_channels"),
        (("decoder", "config", "out_channels"), 1, "model.decoder.config.out_channels"),
        (("in_channels",), 1, "model.encoder.config.in_channels"),
        (("out_channels",), 1, "model.decoder.config.out_channels"),
        (
            ("pretransform",),
            {"type": "patched", "config": {"channels": 1, "patch_size": 2}},
            "model.pretransform.config.channels",
        ),
    ],
)
def test_each_contradiction_is_named(tiny, path, value, where):
    part = tiny["model"]
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert where in refusals(tiny)


def test_sound_overrides_are_accepted(tiny):
    tiny["model"]["encoder"]["config"]["in_channels"] = 1
    tiny["model"]["in_channels"] = 1
    tiny["audio_channels"] = 2
    tiny["sample_size"] = 64
    tiny["training"] = {"learning_rate": 1e-4}
    assert load_config(tiny).model.in_channels == 1


@pytest.mark.parametrize(
    ("key", "value"), [("sample_size", 65), ("audio_channels", 3), ("model_type", "autoencodr")]
)
def test_top_level_keys_are_checked(tiny, key, value):
    tiny[key] = value
    assert key in refusals(tiny)


def test_configs_are_frozen_and_replace_checks_again(tiny):
    config = load_config(tiny)
    with pytest.raises(ValidationError):
        config.sample_rate = 8000
    assert config.replace(sample_rate=8000).sample_rate == 8000
    with pytest.raises(ConfigError, match="sample_rate"):
        config.replace(sample_rate=-1)


def test_absent_parts_are_not_written_as_null():
    written = load_config(MINIMAL).to_dict()
    assert None not in written.values()
    assert "bottleneck" not in written["model"]


def test_floats_are_lax_and_integers_are_strict(tiny):
    tiny["model"]["bottleneck"] = {"type": "tanh", "config": {"scale": "1e-1"}}
    tiny["model"]["encoder"]["config"]["latent_dim"] = 3
    assert load_config(tiny).model.bottleneck.config.scale == 0.1
    tiny["model"]["bottleneck"]["config"]["scale"] = True
    assert "model.bottleneck.config.scale" in refusals(tiny)
    tiny["model"]["bottleneck"]["config"]["scale"] = float("nan")
    assert "model.bottleneck.config.scale" in refusals(tiny)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[1]", "must be a mapping"),
        ("a.yaml", "a: [1", "not valid YAML"),
        ("a.json", b"\xff\xfe", "not a text file"),
        ("a.json", "{}", "sample_rate: required"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message) as error:
        load_config(path)
    assert str(error.value).startswith(str(path))


def test_a_file_is_read_as_its_dict(tmp_path, tiny):
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(tiny))
    assert load_config(path) == load_config(tiny)


def test_unknown_names_are_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'oobleck_vae_44k'"):
        load_config("oobleck_vae_44")
    with pytest.raises(ConfigError, match="no such file"):
        load_config("nowhere.json")
