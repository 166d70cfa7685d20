"""Recipes, `model=` and dotted overrides."""

from __future__ import annotations

import json
from typing import get_args

import pytest
import yaml
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

import zoo
from zoo.config.library import find
from zoo.config.load import load_config
from zoo.config.resolve import parse_recipe, resolve_recipe, write_recipe
from zoo.config.trainer import Accelerator, Strategy
from zoo.errors import ConfigError


def refusals(*args, **kwargs) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        resolve_recipe(*args, **kwargs)
    return {problem.path: problem.message for problem in error.value.problems}


def test_every_shipped_recipe_resolves_and_opens_with_its_run_command():
    names = zoo.list_recipes()
    assert {"oobleck", "oobleck_vae", "starter"} <= set(names)
    for name in names:
        assert resolve_recipe(name).name == name
        header = find("recipes", name).read_text()
        assert header.startswith("# ")
        assert f"# Run:    zoo train recipe={name}" in header
        assert "# Source: " in header


def test_the_model_of_a_recipe_is_its_config():
    recipe = resolve_recipe("oobleck_vae")
    assert recipe.container() == load_config("oobleck_vae_44k")


def test_another_model_brings_its_own_rate():
    recipe = resolve_recipe("oobleck_vae", "minimal_22k")
    assert recipe.container() == load_config("minimal_22k")
    assert recipe.losses == resolve_recipe("oobleck_vae").losses


def test_a_model_alone_gets_the_plain_recipe():
    assert resolve_recipe(model="minimal_22k").sample_rate == 22050


def test_overrides_come_last_and_are_typed():
    recipe = resolve_recipe(
        "oobleck_vae",
        overrides=[
            "model.encoder.config.channels=16",
            "trainer.max_steps=4",
            "data.folder=/some/where",
            "optimizers.autoencoder.optimizer.config.lr=1e-3",
            "discriminator=null",
            "ema=null",
            "data.skip_silence_db=null",
        ],
    )
    assert recipe.model.encoder.config.channels == 16
    assert recipe.trainer.max_steps == 4
    assert recipe.data.folder == "/some/where"
    assert recipe.optimizers.autoencoder.optimizer.config.lr == 1e-3
    assert recipe.discriminator is None
    assert recipe.ema is None
    assert recipe.data.skip_silence_db is None


def test_another_type_starts_from_its_own_defaults():
    recipe = resolve_recipe(
        "oobleck_vae",
        overrides=[
            "optimizers.autoencoder.optimizer.type=SGD",
            "optimizers.autoencoder.optimizer.config.lr=0.5",
            "optimizers.discriminator.optimizer.config.lr=0.25",
        ],
    )
    assert recipe.optimizers.autoencoder.optimizer.config.momentum == 0
    assert recipe.optimizers.autoencoder.optimizer.config.lr == 0.5
    assert recipe.optimizers.discriminator.optimizer.config.betas == (0.8, 0.99)


def test_a_resolved_recipe_comes_back_from_its_file(tmp_path):
    overrides = ["discriminator=null", "ema=null", "data.skip_silence_db=null", "seed=3"]
    recipe = resolve_recipe("oobleck_vae", overrides=overrides)
    path = tmp_path / "recipe.yaml"
    write_recipe(recipe, path)
    assert parse_recipe(yaml.safe_load(path.read_text()), [], "") == recipe


def test_problems_of_all_parts_come_at_once_and_name_the_command_line():
    problems = refusals(
        "oobleck_vae",
        overrides=["trainr.max_steps=4", "model.encoder.config.chanels=4", "seed=x"],
    )
    assert problems["trainr"].startswith("unknown key; did you mean 'trainer'?")
    assert problems["model.encoder.config.chanels"] == (
        "unknown key; did you mean 'channels'? (from the command line)"
    )
    assert problems["seed"].endswith("(from the command line)")


def test_contradictions_of_a_recipe():
    problems = refusals(
        "oobleck_vae",
        overrides=[
            "data.segment_samples=1000",
            "losses.stft.hop_sizes=[1]",
            "discriminator.config.win_lengths=[4096,1024,512,256,128]",
            "model.downsampling_ratio=1024",
        ],
    )
    assert set(problems) == {
        "data.segment_samples",
        "losses.stft.hop_sizes",
        "discriminator.config.win_lengths",
        "model.encoder.config.strides",
        "model.decoder.config.strides",
    }


@pytest.mark.parametrize("override", ["trainer.max_steps", "=4"])
def test_what_is_no_override_is_refused(override):
    with pytest.raises(ConfigError, match="key=value"):
        resolve_recipe("starter", overrides=[override])


def test_unknown_recipe_and_model():
    with pytest.raises(ConfigError, match="did you mean 'oobleck_vae'"):
        resolve_recipe("ooblek_vae")
    with pytest.raises(ConfigError, match="unknown model"):
        resolve_recipe("starter", "nothing")


def test_a_recipe_file_may_hold_its_model(tmp_path, tiny):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**tiny, "data": {"segment_samples": 64}}))
    recipe = resolve_recipe(str(path))
    assert recipe.name == "mine"
    assert recipe.container() == load_config(tiny)


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("trainer.precision=foo", "trainer.precision"),
        ("trainer.max_time=abc", "trainer.max_time"),
        ("optimizers.autoencoder.optimizer.config.betas=[1,1]", "optimizers.autoencoder.optimizer"),
        ("trainer.strategy=foo", "trainer.strategy"),
        ("trainer.accelerator=foo", "trainer.accelerator"),
        ("name=../../x", "name"),
        ("checkpointing=often", "checkpointing"),
    ],
)
def test_values_out_of_range_are_refused(override, path):
    assert any(key.startswith(path) for key in refusals("oobleck_vae", overrides=[override]))


def test_all_of_lightnings_strategies_and_accelerators_can_be_chosen():
    assert set(StrategyRegistry.available_strategies()) <= set(get_args(Strategy))
    assert set(AcceleratorRegistry.available_accelerators()) <= set(get_args(Accelerator))


def test_a_wrong_item_is_one_problem():
    problems = refusals("oobleck_vae", overrides=["init_from=x", "init_parts=[typo]"])
    assert set(problems) == {"init_parts.0"}
    problems = refusals("oobleck_vae", overrides=["init_from=x", "init_parts=[]"])
    assert "at least 1 item" in problems["init_parts"]


def test_contradicting_optimiser_and_missing_losses():
    problems = refusals(
        "starter",
        overrides=[
            "losses.normalised_l2=0",
            "optimizers.autoencoder.optimizer={type: SGD, config: {nesterov: true}}",
        ],
    )
    assert set(problems) == {"losses", "optimizers.autoencoder.optimizer.config.nesterov"}


def test_an_override_that_is_no_yaml_is_refused():
    with pytest.raises(ConfigError):
        resolve_recipe("starter", overrides=["data.folder=["])
