"""Recipes made so small that a run takes a second."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from zoo.config.model import AutoencoderPretransformConfig
from zoo.config.recipe import AnyRecipe, DiffusionRecipeConfig
from zoo.config.resolve import resolve_recipe

SHRUNK = [
    "model.encoder.config.channels=4",
    "model.decoder.config.channels=4",
    "data.workers=0",
    "data.batch_size=2",
    "data.segment_samples=8192",
    "data.synthesis.files=3",
    "data.synthesis.seconds=1",
    "data.validation_crops=2",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
    "checkpoints.every_n_steps=2",
    "logger.type=csv",
]
SMALL_DISCRIMINATOR = [
    "discriminator.config.filters=2",
    "discriminator.config.n_ffts=[256,64]",
    "discriminator.config.hop_lengths=[64,16]",
    "discriminator.config.win_lengths=[256,64]",
]
SMALL_DIFFUSION = {
    "dit": ["embed_dim=32", "num_heads=1", "depth=1"],
    "adp_1d": ["channels=16", "attention_heads=2", "attention_features=4"],
    "DAU1d": ["depth=3", "channels=[32,32,32]", "n_attn_layers=1"],
}
FEW_STEPS = ["model.sampling={sampler: ddim, steps: 2}", "validation.steps=2"]
SMALL_PRETRANSFORM = [
    "model.pretransform.config.encoder.config.channels=4",
    "model.pretransform.config.decoder.config.channels=4",
]


_TRANSFORMERS = {"channels": 6, "sliding_window": [3, 4]}
SMALL_NETWORK: dict[str, dict[str, dict[str, Any]]] = {
    "oobleck": {"encoder": {"channels": 3}, "decoder": {"channels": 3}},
    "dac": {"encoder": {"d_model": 2}, "decoder": {"channels": 16}},
    "seanet": {"encoder": {"n_filters": 2}, "decoder": {"n_filters": 2}},
    "taae": {"encoder": _TRANSFORMERS, "decoder": _TRANSFORMERS},
}
CONFIGS = Path(__file__).parents[1] / "configs"


def shrunk_autoencoder(name: str) -> dict[str, Any]:
    """A shipped config with its topology and few channels; of a diffusion model, the encoder."""
    config = copy.deepcopy(json.loads((CONFIGS / f"{name}.json").read_text()))
    _shrink(config["model"])
    return config


def _shrink(model: dict[str, Any]) -> None:
    for side in ("encoder", "decoder"):
        if side in model:
            model[side]["config"] |= SMALL_NETWORK[model[side]["type"]][side]
    if model.get("encoder", {}).get("type") == "dac":
        # Without a projection, the latents are as wide as the encoder.
        model["encoder"]["config"].setdefault("latent_dim", model["latent_dim"])
    match model.get("diffusion"):
        case {"type": "dit", "config": options}:
            options |= {"embed_dim": 32, "num_heads": 1, "depth": 1}
        case {"type": "adp_1d", "config": options}:
            options |= {"channels": 16, "attention_heads": 2, "attention_features": 4}
        case {"type": "DAU1d", "config": options}:
            options |= {"channels": [32] * len(options["channels"])}
    if model.get("pretransform", {}).get("type") == "autoencoder":
        _shrink(model["pretransform"]["config"])


def shrunk(recipe: str, folder: Path, *more: str) -> AnyRecipe:
    """A shipped recipe, two steps long, with everything below `folder`."""
    given = [*SHRUNK, f"runs={folder}/runs", f"data.cache={folder}/practice"]
    whole = resolve_recipe(recipe)
    if isinstance(whole, DiffusionRecipeConfig):
        kind = whole.model.diffusion.type
        given += FEW_STEPS
        given += [f"model.diffusion.config.{option}" for option in SMALL_DIFFUSION[kind]]
    elif whole.discriminator is not None:
        given += SMALL_DISCRIMINATOR
    if whole.model.decoder is None:
        given.remove("model.decoder.config.channels=4")
    if isinstance(whole.model.pretransform, AutoencoderPretransformConfig):
        given += SMALL_PRETRANSFORM
    return resolve_recipe(recipe, overrides=[*given, *more])
