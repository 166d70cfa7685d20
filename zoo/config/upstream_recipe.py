"""From stable-audio-tools' `training` section to the keys of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.config.base import Config
from zoo.config.upstream_sections import (
    AutoencoderTraining,
    DiffusionAutoencoderTraining,
    LossSections,
    UpstreamTraining,
)
from zoo.errors import ConfigError, Problem

_SCALES = [2048, 1024, 512, 256, 128, 64, 32]
_SEMANTIC = {
    "HUBERT_LARGE": "hubert_large",
    "WAVLM_LARGE": "wavlm_large",
    "WAV2VEC2_LARGE_LV60K": "wav2vec2_large_lv60k",
}
_TERMS = ("latents", "reconstruction", "output", "encoder", "decoder")
# Where a key of the recipe stands in upstream's file; the first that fits.
_ORIGINS = {
    "losses.semantic.weights": "losses.semantic.weights",
    "discriminator": "training.loss_configs.discriminator",
    "losses.stft": "training.loss_configs.spectral.config",
    "losses.mel": "training.loss_configs.mrmel.config",
    "losses.semantic": "training.loss_configs.hubert.config",
    "losses": "training.loss_configs",
    "optimizers": "training.optimizer_configs",
    "teacher.checkpoint": "training.teacher_model_ckpt",
    "teacher.model": "training.teacher_model",
    "schedule.freeze_encoder_at": "training.encoder_freeze_on_warmup",
    "data.segment_samples": "sample_size",
}


def recipe_of(training: UpstreamTraining, data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a recipe that trains as upstream does from the config file `data`.

    Source: stable_audio_tools/training/factory.py, autoencoders.py, diffusion.py.
    """
    trainer: dict[str, Any] = {
        # upstream: reads `clip_grad_norm` for other models only.
        "gradient_clip_val": training.clip_grad_norm or None,
        "val_check_interval": training.demo.demo_every,
    }
    recipe: dict[str, Any] = {
        "ema": {"beta": 0.9999, "power": 0.75} if training.use_ema else None,
        "trainer": trainer,
    }
    if training.demo.num_demos is not None:
        recipe["examples"] = {"clips": training.demo.num_demos}
    if data.get("sample_size") is not None:
        recipe["data"] = {"segment_samples": data["sample_size"]}
    match training:
        case AutoencoderTraining():
            return {**recipe, **_of_autoencoder(training)}
        case DiffusionAutoencoderTraining():
            return {**recipe, **_of_diffusion(training)}


def _of_autoencoder(training: AutoencoderTraining) -> dict[str, Any]:
    given = training.loss_configs
    judge = given.discriminator
    recipe: dict[str, Any] = {
        "losses": _losses(given),
        "discriminator": None,
        "optimizers": _optimizers(training.optimizer_configs, training.learning_rate),
        "schedule": {
            "alternate": judge is not None,
            "force_mono": training.force_input_mono,
            "latent_mask": training.latent_mask_ratio,
        },
    }
    if training.encoder_freeze_on_warmup:
        recipe["schedule"]["freeze_encoder_at"] = training.warmup_steps
    if judge is not None:
        # upstream: never passes `warmup_mode` on, so that it is always "adv".
        warmup = {"warmup_steps": training.warmup_steps, "warmup_mode": training.warmup_mode}
        recipe["discriminator"] = {**judge.to_dict(), **warmup}
    if training.teacher_model is not None:
        quarter = _decaying(0.25 * given.spectral.weights.mrstft, given.spectral.decay)
        recipe["losses"]["stft"]["weight"] = 0.0
        recipe["teacher"] = {
            "checkpoint": training.teacher_model_ckpt,
            "model": training.teacher_model,
            "weights": dict.fromkeys(_TERMS, quarter),
        }
    return recipe


def _losses(given: LossSections) -> dict[str, Any]:
    spectral = given.spectral
    losses: dict[str, Any] = {
        "stft": {
            **spectral.config.to_dict(),
            "weight": _decaying(spectral.weights.mrstft, spectral.decay),
        },
        **given.bottleneck.weights.to_dict(),
    }
    if given.time is not None:
        for name, weight in given.time.weights.to_dict().items():
            losses[name] = _decaying(weight, given.time.decay)
    if given.mrmel is not None:
        losses["mel"] = {**given.mrmel.config.to_dict(), "weight": given.mrmel.weights.mrmel}
    if given.hubert is not None and given.hubert.weights.hubert > 0:
        config = given.hubert.config
        losses["semantic"] = {
            "model": _SEMANTIC[config.model_name],
            "layers": config.feature_ids,
            "weight": _decaying(given.hubert.weights.hubert, given.hubert.decay),
        }
    return losses


def _of_diffusion(training: DiffusionAutoencoderTraining) -> dict[str, Any]:
    losses: dict[str, Any] = {"mse": 1.0, **training.loss_configs.bottleneck.weights.to_dict()}
    if training.use_reconstruction_loss:
        # upstream: compares sum and difference of two channels; here left and right count too.
        losses["stft"] = {
            "weight": 0.1,
            "fft_sizes": _SCALES,
            "hop_sizes": [scale // 4 for scale in _SCALES],
            "win_lengths": _SCALES,
            "perceptual_weighting": True,
        }
    optimizers = training.optimizer_configs
    adam = {"lr": training.learning_rate, "betas": [0.9, 0.999], "weight_decay": 0.0}
    plain = {"autoencoder": {"optimizer": {"type": "Adam", "config": adam}}}
    timesteps: dict[str, Any] = {"type": training.timestep_sampler}
    if training.timestep_sampler == "log_snr":
        options = training.timestep_sampler_options
        timesteps |= {"mean": options.mean_logsnr, "std": options.std_logsnr}
    recipe: dict[str, Any] = {
        "losses": losses,
        "optimizers": optimizers.to_dict() if optimizers else plain,
        "timesteps": timesteps,
    }
    if training.demo.demo_steps is not None:
        recipe["validation"] = {"steps": training.demo.demo_steps}
    return recipe


def _optimizers(given: Config | None, rate: float | None) -> dict[str, Any]:
    # upstream: has no schedule at all unless both networks have one; here each has its own.
    if given is not None:
        return given.to_dict()
    config = {"lr": rate, "betas": [0.8, 0.99], "weight_decay": 1e-2}
    both = {"optimizer": {"type": "AdamW", "config": config}}
    return {"autoencoder": both, "discriminator": both}


def _decaying(weight: float, decay: float) -> float | dict[str, float]:
    return weight if decay == 1 else {"weight": weight, "decay": decay}


def named_as_written(error: ConfigError) -> ConfigError:
    """`error` of a translated recipe, its paths those of upstream's file where that decides."""
    return ConfigError([Problem(_origin(p.path), p.message) for p in error.problems], error.source)


def _origin(path: str) -> str:
    for key, origin in _ORIGINS.items():
        if path == key or path.startswith(f"{key}."):
            return origin + path.removeprefix(key)
    return path
