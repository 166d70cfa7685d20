"""Recipes made so small that a run takes a second."""

from __future__ import annotations

from pathlib import Path

from zoo.config.model import AutoencoderPretransformConfig
from zoo.config.recipe import RecipeConfig
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
SMALL_PRETRANSFORM = [
    "model.pretransform.config.encoder.config.channels=4",
    "model.pretransform.config.decoder.config.channels=4",
]


def shrunk(recipe: str, folder: Path, *more: str) -> RecipeConfig:
    """A shipped recipe, two steps long, with everything below `folder`."""
    given = [*SHRUNK, f"runs={folder}/runs", f"data.cache={folder}/practice"]
    whole = resolve_recipe(recipe)
    if whole.discriminator is not None:
        given += SMALL_DISCRIMINATOR
    if isinstance(whole.model.pretransform, AutoencoderPretransformConfig):
        given += SMALL_PRETRANSFORM
    return resolve_recipe(recipe, overrides=[*given, *more])
