"""Keys of stable-audio-tools' `training` section that need a word of their own."""

from __future__ import annotations

from typing import Any

# What torch takes where a config says nothing; a recipe's own defaults are others.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 1e-2},
    "Adam": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0},
    "SGD": {"lr": 1e-3, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False},
    "RAdam": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0},
    "Adafactor": {"lr": 1e-2, "beta2_decay": -0.8, "d": 1.0, "weight_decay": 0.0},
}

# Upstream's sizes of the discriminator `encodec`, likewise.
ENCODEC: dict[str, Any] = {
    "n_ffts": [1024, 2048, 512],
    "hop_lengths": [256, 512, 128],
    "win_lengths": [1024, 2048, 512],
}

_SPECTRAL = "loss_configs.spectral.config"
_JUDGE = "loss_configs.discriminator.config"

# Taken with the one value that upstream has by default.
ONLY: dict[str, Any] = {
    f"{_SPECTRAL}.window": "hann_window",
    f"{_SPECTRAL}.w_sc": 1,
    f"{_SPECTRAL}.w_log_mag": 1,
    f"{_SPECTRAL}.w_lin_mag": 0,
    f"{_SPECTRAL}.w_phs": 0,
    f"{_SPECTRAL}.w_sum": 1,
    f"{_SPECTRAL}.w_diff": 1,
    f"{_SPECTRAL}.scale_invariance": False,
    f"{_SPECTRAL}.eps": 1e-8,
    f"{_SPECTRAL}.output": "loss",
    f"{_SPECTRAL}.reduction": "mean",
    f"{_SPECTRAL}.mag_distance": "L1",
    f"{_SPECTRAL}.device": None,
    f"{_SPECTRAL}.retain_batch_dim": False,
    f"{_JUDGE}.out_channels": 1,
    f"{_JUDGE}.max_filters": 1024,
    f"{_JUDGE}.filters_scale": 1,
    f"{_JUDGE}.kernel_size": [3, 9],
    f"{_JUDGE}.dilations": [1, 2, 4],
    f"{_JUDGE}.stride": [1, 1],
    f"{_JUDGE}.normalized": True,
    f"{_JUDGE}.activation": "LeakyReLU",
    f"{_JUDGE}.activation_params": {"negative_slope": 0.2},
    f"{_JUDGE}.spec_scale_pow": 0.0,
}

# Taken and not read; whoever trains is told so.
UNREAD: dict[str, str] = {
    "eval_loss_configs": "validation always logs val/si_sdr, val/mel and val/stft",
    "log_loss_info": "each loss is logged anyway",
    **{
        f"demo.{key}": "examples are reconstructions of the first clips of the validation audio"
        for key in (
            "demo_cfg_scales",
            "demo_cond",
            "demo_cond_from_batch",
            "display_audio_cond",
            "cond_display_configs",
        )
    },
}

_CONDITIONAL = "is for text-to-audio and language models, which are not trained here; leave it out"
_DIFFUSION = "is for diffusion models, and this one is none; leave it out"
_DETERMINISTIC = "is for autoencoders without diffusion; leave it out"
_EVERYWHERE = {
    **dict.fromkeys(
        (
            "arc",
            "cfg_dropout_prob",
            "inpainting",
            "mask_padding",
            "mask_padding_dropout",
            "p_one_shot",
            "trim_config",
        ),
        _CONDITIONAL,
    ),
    "pre_encoded": "an autoencoder is trained on audio, never on latents; leave it out",
    "optimizer_configs.diffusion": "the networks here are autoencoder and discriminator",
    "loss_configs.discriminator.warmup_steps": "belongs at training.warmup_steps",
    "loss_configs.discriminator.warmup_mode": "belongs at training.warmup_mode",
}

# Keys that upstream reads for other kinds of models, by the kind at hand.
REFUSED: dict[str, dict[str, str]] = {
    "autoencoder": {
        **_EVERYWHERE,
        "timestep_sampler": _DIFFUSION,
        "timestep_sampler_options": _DIFFUSION,
        "use_reconstruction_loss": _DIFFUSION,
        "demo.demo_steps": _DIFFUSION,
    },
    "diffusion": {
        **_EVERYWHERE,
        **dict.fromkeys(
            (
                "encoder_freeze_on_warmup",
                "force_input_mono",
                "latent_mask_ratio",
                "teacher_model",
                "teacher_model_ckpt",
                "warmup_mode",
                "warmup_steps",
                "optimizer_configs.discriminator",
                "loss_configs.discriminator",
                "loss_configs.hubert",
                "loss_configs.mrmel",
                "loss_configs.time",
            ),
            _DETERMINISTIC,
        ),
        "loss_configs.spectral": "is use_reconstruction_loss in a diffusion autoencoder",
    },
}
