"""Stable-audio-tools' `training` section as a recipe."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.config.upstream_sections import shipped
from zoo.config.load import load_config
from zoo.config.resolve import parse_recipe, resolve_recipe, write_recipe
from zoo.config.upstream_keys import OPTIMIZERS
from zoo.config.upstream_training import parse_training
from zoo.errors import ConfigError

SHIPPED = shipped()
WEIGHTS = {"adversarial": 0.1, "feature_matching": 5.0}
OPTIMIZER = {"optimizer": {"type": "AdamW", "config": {"lr": 1e-4}}}
FULL = {
    "learning_rate": 1e-4,
    "optimizer_configs": {
        name: {**OPTIMIZER, "scheduler": {"type": "InverseLR", "config": {}}}
        for name in ("autoencoder", "discriminator")
    },
    "loss_configs": {
        "discriminator": {"type": "encodec", "config": {"filters": 2}, "weights": WEIGHTS},
        "spectral": {"type": "mrstft", "config": {}, "weights": {"mrstft": 1.0}},
        "time": {"type": "l1", "config": {}, "weights": {"l1": 0.5, "l2": 0.0}},
        "mrmel": {
            "config": {
                "n_mels": [5],
                "window_lengths": [64],
                "pow": 1.0,
                "log_weight": 1.0,
                "mag_weight": 1.0,
            },
            "weights": {"mrmel": 1.0},
        },
        "hubert": {"config": {}, "weights": {"hubert": 0.0}},
        "bottleneck": {"type": "kl", "config": {}, "weights": {"kl": 1e-4}},
    },
    "demo": {"demo_every": 500},
}
DIFFUSION = {"learning_rate": 1e-4}


def file(tmp_path: Path, config: dict) -> str:
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(config))
    return str(path)


def theirs(tmp_path: Path, name: str = "stable_audio_2_0_vae", **training: Any) -> str:
    config = copy.deepcopy(SHIPPED[name])
    config["training"] |= training
    return file(tmp_path, config)


def problems(section: dict, kind: str = "autoencoder") -> tuple[dict[str, str], list[str]]:
    """What is refused, and what is said to be unused; paths within `training`."""
    told: list[str] = []
    tell = lambda note: told.append(note.path.removeprefix("training."))  # noqa: E731
    try:
        parse_training({"training": section}, kind, "", tell)
    except ConfigError as error:
        return {p.path.removeprefix("training."): p.message for p in error.problems}, told
    return {}, told


def test_the_full_sections_of_these_tests_are_sound():
    assert problems(FULL) == ({}, [])
    assert problems(DIFFUSION, "diffusion_autoencoder") == ({}, [])


def test_there_are_shipped_configs():
    assert len(SHIPPED) == 4
    assert all(config["training"] for config in SHIPPED.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_config_is_a_recipe(name, tmp_path):
    path = file(tmp_path, SHIPPED[name])
    recipe = resolve_recipe(model=path)
    section = SHIPPED[name]["training"]
    judge = section["loss_configs"]["discriminator"]
    assert recipe.container() == load_config(path)
    assert recipe.training == section
    assert recipe.name == "theirs"
    assert recipe.data.segment_samples == SHIPPED[name]["sample_size"]
    assert recipe.schedule.alternate
    assert (recipe.ema is not None) == section["use_ema"]
    assert recipe.discriminator.config.filters == judge["config"]["filters"]
    assert list(recipe.discriminator.config.n_ffts) == judge["config"]["n_ffts"]
    assert recipe.trainer.val_check_interval == 2000
    rate = recipe.optimizers.autoencoder.optimizer.config.lr
    assert rate == section["learning_rate"]
    if "optimizer_configs" in section:
        for network in ("autoencoder", "discriminator"):
            ours, given = getattr(recipe.optimizers, network), section["optimizer_configs"][network]
            assert ours.scheduler.type == given["scheduler"]["type"]
            given_rates = given["scheduler"]["config"].items()
            assert given_rates <= ours.scheduler.config.to_dict().items()
    # The run folder's recipe says the same without reading the section again.
    write_recipe(recipe, tmp_path / "recipe.yaml")
    import yaml

    written = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert parse_recipe(written, [], "") == recipe
    assert resolve_recipe(str(tmp_path / "recipe.yaml")) == recipe
    assert resolve_recipe(path) == recipe


def test_all_other_kinds_of_model_are_refused(tmp_path):
    for kind in ("diffusion_cond", "diffusion_uncond", "diffusion_cond_inpaint", "lm"):
        config = {**SHIPPED["stable_audio_2_0_vae"], "model_type": kind}
        with pytest.raises(ConfigError, match=f"model_type: unknown value '{kind}'"):
            resolve_recipe(model=file(tmp_path, config))


def test_defaults_are_torchs():
    from typing import get_args

    from zoo.config.optimizers import OptimizerConfig

    types = [
        get_args(c.model_fields["type"].annotation)[0]
        for c in get_args(get_args(OptimizerConfig)[0])
    ]
    # torch's Muon takes matrices alone, so that upstream can't train with it.
    assert set(types) - {"Muon"} == set(OPTIMIZERS)
    for name, defaults in OPTIMIZERS.items():
        torchs = getattr(torch.optim, name)([torch.zeros(1)]).defaults
        for key, value in defaults.items():
            assert (list(torchs[key]) if key == "betas" else torchs[key]) == value, (name, key)


def test_problems_that_show_later_are_named_by_upstreams_keys(tmp_path):
    section = copy.deepcopy(SHIPPED["stable_audio_2_0_vae"]["training"]["loss_configs"])
    section["spectral"]["config"]["win_lengths"] = [2048]
    section["discriminator"]["config"]["hop_lengths"] = [512]
    config = {**SHIPPED["stable_audio_2_0_vae"], "sample_size": 65535}
    config["training"] = {**config["training"], "loss_configs": section}
    with pytest.raises(ConfigError) as error:
        resolve_recipe(model=file(tmp_path, config))
    assert {problem.path for problem in error.value.problems} == {
        "training.loss_configs.spectral.config.win_lengths",
        "training.loss_configs.discriminator.config.hop_lengths",
        "sample_size",
    }


def test_overrides_come_last_and_a_named_recipe_wins(tmp_path):
    path = theirs(tmp_path)
    recipe = resolve_recipe(
        model=path, overrides=["losses.kl=3", "discriminator=null", "schedule.alternate=false"]
    )
    assert (recipe.losses.kl, recipe.discriminator) == (3.0, None)
    told = []
    named = resolve_recipe("oobleck_vae", path, tell=told.append)
    assert named.losses == resolve_recipe("oobleck_vae").losses
    assert [str(note) for note in told] == [
        "training: not used: the recipe 'oobleck_vae' says how to train"
    ]


def test_what_upstream_forgets_is_honoured(tmp_path):
    path = theirs(tmp_path, warmup_mode="full", warmup_steps=7, clip_grad_norm=0.5)
    recipe = resolve_recipe(model=path)
    assert (recipe.discriminator.warmup_mode, recipe.discriminator.warmup_steps) == ("full", 7)
    assert recipe.trainer.gradient_clip_val == 0.5
    frozen = resolve_recipe(model=theirs(tmp_path, warmup_steps=7, encoder_freeze_on_warmup=True))
    assert frozen.schedule.freeze_encoder_at == 7


def test_a_diffusion_autoencoder_trains_as_upstreams_wrapper(tmp_path):
    config = load_config("starter_dit_22k").to_dict()
    training = {"learning_rate": 3e-4, "use_reconstruction_loss": True}
    config = {**config, "sample_size": 32768, "training": training}
    recipe = resolve_recipe(model=file(tmp_path, config))
    optimizer = recipe.optimizers.autoencoder.optimizer
    assert (optimizer.type, optimizer.config.lr) == ("Adam", 3e-4)
    assert (optimizer.config.betas, optimizer.config.weight_decay) == ((0.9, 0.999), 0.0)
    assert (recipe.losses.stft.weight, recipe.losses.mse) == (0.1, 1.0)
    assert recipe.losses.stft.perceptual_weighting
    assert recipe.timesteps.type == "uniform"
    assert recipe.ema is not None
    assert recipe.trainer.gradient_clip_val is None
    config["training"] = {"learning_rate": 1e-4, "timestep_sampler": "log_snr", "use_ema": False}
    recipe = resolve_recipe(model=file(tmp_path, config))
    assert (recipe.timesteps.mean, recipe.timesteps.std, recipe.ema) == (-1.2, 2.0, None)
