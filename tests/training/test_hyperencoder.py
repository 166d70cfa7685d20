"""Training over the latents of an autoencoder that a checkpoint holds."""

from __future__ import annotations

import pytest
import torch

import zoo
from tests.shrunk import SMALL_PRETRANSFORM, shrunk
from zoo.config.resolve import parse_recipe, resolve_recipe
from zoo.errors import CheckpointError, ConfigError
from zoo.load import from_config
from zoo.training.build import build_module
from zoo.training.run import train


@pytest.fixture
def inner(tmp_path):
    """A checkpoint of the shrunk network that the hyperencoder has inside."""
    recipe = shrunk("oobleck_vae", tmp_path, "name=inner", "discriminator=null")
    torch.manual_seed(1)
    model = from_config(recipe.container())
    path = tmp_path / "inner.ckpt"
    weights = {f"model.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": weights, "zoo_config": model.config.to_dict()}, path)
    return path, model


def test_the_autoencoder_inside_has_the_weights_of_the_checkpoint_and_keeps_them(inner, tmp_path):
    path, model = inner
    run = train(shrunk("hyperencoder", tmp_path, f"pretransform_checkpoint={path}"))
    trained = zoo.from_checkpoint(run.folder)
    for key, value in trained.pretransform.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    # All weights are in the run's own checkpoints, so the file is not asked for again.
    path.unlink()
    overrides = ["trainer.max_steps=3"]
    recipe = resolve_recipe(str(run.folder / "recipe.yaml"), overrides=overrides)
    assert train(recipe, resume=run.folder).steps == 3


def test_without_a_checkpoint_that_is_said(tmp_path, capsys):
    build_module(shrunk("hyperencoder", tmp_path))
    assert "pretransform_checkpoint=PATH" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_fit_is_refused(inner, tmp_path):
    path, _ = inner
    chosen = f"pretransform_checkpoint={path}"
    with pytest.raises(CheckpointError, match=r"inner\.ckpt: does not fit the model"):
        build_module(
            shrunk("hyperencoder", tmp_path, chosen, SMALL_PRETRANSFORM[0].replace("=4", "=5"))
        )
    with pytest.raises(CheckpointError, match="made for 44100 Hz, but sample_rate is 48000"):
        build_module(shrunk("hyperencoder", tmp_path, chosen, "sample_rate=48000"))
    with pytest.raises(CheckpointError, match="no such file"):
        build_module(shrunk("hyperencoder", tmp_path, f"{chosen}.gone"))


def test_only_an_autoencoder_inside_takes_a_checkpoint(tmp_path):
    with pytest.raises(ConfigError, match=r"pretransform_checkpoint: needs a model\.pretransform"):
        shrunk("starter", tmp_path, "pretransform_checkpoint=x.ckpt")


def test_a_recipe_of_a_hyperencoder_is_checked_as_one(tmp_path):
    recipe = shrunk("hyperencoder", tmp_path)
    assert recipe.container().model_type == "hyperencoder"
    assert parse_recipe(recipe.to_dict(), [], "") == recipe
    data = recipe.to_dict()
    del data["model"]["pretransform"]
    with pytest.raises(ConfigError, match=r"model\.pretransform: a hyperencoder needs"):
        parse_recipe(data, [], "")
