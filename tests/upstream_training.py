"""Upstream's training wrapper, run by our Lightning. Benchmarks use it too."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero

import zoo
from tests.oracle import import_upstream
from zoo.config.recipe import RecipeConfig
from zoo.config.weights import DecayingWeight, is_on


def upstream_training(name: str) -> ModuleType:
    """A module of `stable_audio_tools.training`.

    It asks for the package `pytorch_lightning`, whose code `lightning.pytorch` is.
    """
    names: dict[str, Any] = {
        "pytorch_lightning": pl,
        "pytorch_lightning.utilities": pl.utilities,
        "pytorch_lightning.utilities.rank_zero": rank_zero,
    }
    added = names.keys() - sys.modules.keys()
    sys.modules.update(names)
    try:
        return import_upstream(f"stable_audio_tools.training.{name}")
    finally:
        for key in added:
            del sys.modules[key]


def upstream_wrapper(recipe: RecipeConfig, module: Any, ema: bool = False, **options: Any) -> Any:
    """Upstream's `AutoencoderTrainingWrapper` with the settings of `recipe`, weights of `module`.

    Losses: STFT, mel, L1, KL and the discriminator `encodec`; no schedules of the learning rate.

    Args:
        ema: whether it averages its weights.
        **options: further arguments of upstream's class.
    """
    model, copy = (
        zoo.from_config(recipe.container(), engine="stable-audio-tools").train() for _ in range(2)
    )
    for network in (model, copy):
        network.load_state_dict(module.model.state_dict())
    optimizers = recipe.optimizers.model_dump(exclude_none=True)
    wrapper = upstream_training("autoencoders").AutoencoderTrainingWrapper(
        model,
        sample_rate=recipe.sample_rate,
        loss_config=_losses(recipe),
        optimizer_configs={
            name: {"optimizer": part["optimizer"]} for name, part in optimizers.items()
        },
        use_ema=ema,
        # Without a copy of its own, it tries to copy weight norm, which fails.
        ema_copy=copy if ema else None,
        **options,
    )
    if recipe.discriminator is not None:
        wrapper.discriminator.load_state_dict(module.adversary.discriminator.state_dict())
    return wrapper


def _losses(recipe: RecipeConfig) -> dict[str, Any]:
    """The section `loss_configs` that says what `recipe` says."""
    given, judge = recipe.losses, recipe.discriminator
    spectral = _weight("mrstft", given.stft.weight)
    if recipe.teacher is not None:
        # Each term of the distillation has a quarter of it.
        spectral = _weight("mrstft", recipe.teacher.weights.latents)
        spectral["weights"]["mrstft"] *= 4
    losses: dict[str, Any] = {
        "spectral": {
            "type": "mrstft",
            "config": {
                "fft_sizes": list(given.stft.fft_sizes),
                "hop_sizes": list(given.stft.hop_sizes),
                "win_lengths": list(given.stft.win_lengths),
                "perceptual_weighting": given.stft.perceptual_weighting,
            },
            **spectral,
        },
        "time": {"type": "l1", "config": {}, **_weight("l1", given.l1)},
        "bottleneck": {"type": "kl", **_weight("kl", given.kl)},
    }
    if is_on(given.mel.weight):
        names = ("n_mels", "window_lengths", "pow", "log_weight", "mag_weight")
        config = {name: getattr(given.mel, name) for name in names}
        losses["mrmel"] = {"config": config, **_weight("mrmel", given.mel.weight)}
    if judge is not None:
        sizes = ("n_ffts", "hop_lengths", "win_lengths")
        losses["discriminator"] = {
            "type": "encodec",
            "config": {
                "filters": judge.config.filters,
                **{name: list(getattr(judge.config, name)) for name in sizes},
            },
            "weights": judge.weights.model_dump(),
        }
    return losses


def _weight(name: str, weight: float | DecayingWeight) -> dict[str, Any]:
    if isinstance(weight, DecayingWeight):
        return {"weights": {name: weight.weight}, "decay": weight.decay}
    return {"weights": {name: weight}}
