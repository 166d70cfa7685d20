"""Random bottlenecks with tokens, ours and upstream's."""

from __future__ import annotations

import copy
import random
from typing import Any

import torch
from loguru import logger

from tests.oracle import import_upstream

# k-means of so few frames is reported each time.
logger.disable("vector_quantize_pytorch")

TYPES = ("rvq", "rvq_vae", "dac_rvq", "dac_rvq_vae", "fsq", "dithered_fsq", "softnorm")
DISCRETE = TYPES[:-1]


def random_config(kind: str, rng: random.Random) -> dict[str, Any]:
    """A sound config of a small bottleneck."""
    if kind.startswith("rvq"):
        config = _rvq(rng)
    elif kind.startswith("dac"):
        count = rng.randint(1, 4)
        config = {
            "input_dim": rng.randint(1, 7),
            "n_codebooks": count,
            "codebook_size": rng.randint(1, 12),
            "codebook_dim": rng.choice((rng.randint(1, 4), [rng.randint(1, 4)] * count)),
            "quantizer_dropout": rng.choice((0.0, 0.5, 1.0)),
            "quantize_on_decode": rng.random() < 0.3,
        }
        if kind == "dac_rvq":
            config["noise_augment_dim"] = rng.choice((0, 0, 2))
    elif kind == "fsq":
        symmetric = rng.random() < 0.5
        levels = [rng.randint(2 if symmetric else 3, 9) for _ in range(rng.randint(1, 4))]
        config = {
            "levels": levels,
            "num_codebooks": rng.randint(1, 3),
            "keep_num_codebooks_dim": True,
            "preserve_symmetry": symmetric,
            "noise_dropout": rng.choice((0.0, 0.5)) if symmetric else 0.0,
            "bound_hard_clamp": rng.random() < 0.2,
            "projection_has_bias": rng.random() < 0.5,
            "orthogonal_rotation": rng.random() < 0.3,
            "noise_augment_dim": rng.choice((0, 0, 2)),
        }
        if rng.random() < 0.5:
            config["dim"] = rng.randint(1, 6)
    elif kind == "dithered_fsq":
        dim = rng.randint(1, 4)
        config = {
            "dim": dim,
            "levels": rng.choice((rng.randint(2, 17), [rng.randint(2, 17) for _ in range(dim)])),
            "num_codebooks": rng.randint(1, 3),
            "noise_dropout": rng.choice((0.05, 0.5, 1.0, 0.0)),
        }
    else:
        config = {
            "dim": rng.randint(2, 6),
            "noise_augment_dim": rng.choice((0, 3)),
            "noise_regularize": rng.random() < 0.5,
        }
    return {"type": kind, "config": config}


def _rvq(rng: random.Random) -> dict[str, Any]:
    count = rng.randint(1, 4)
    config: dict[str, Any] = {
        "dim": rng.randint(1, 6),
        "codebook_size": rng.randint(3, 9),
        "num_quantizers": count,
        "kmeans_init": rng.random() < 0.6,
        "kmeans_iters": rng.randint(1, 5),
        "threshold_ema_dead_code": rng.choice((0, 2)),
        "shared_codebook": rng.random() < 0.2,
        "quant_grad_frac": rng.choice((0.0, 0.5)),
        "commitment_weight": rng.choice((1.0, 0.25)),
        "decay": rng.choice((0.8, 0.99)),
    }
    if rng.random() < 0.3:
        config["codebook_dim"] = rng.randint(1, 4)
    if rng.random() < 0.3:
        config |= {"quantize_dropout": True, "quantize_dropout_multiple_of": rng.randint(1, 2)}
        config["quantize_dropout_cutoff_index"] = rng.randrange(count)
    learnt = {"learnable_codebook": True, "ema_update": False}
    config |= rng.choice(
        (
            {},
            {},
            {"use_cosine_sim": True},
            {"straight_through": True, "rotation_trick": False, "stochastic_sample_codes": True},
            {"stochastic_sample_codes": True, "sample_codebook_temp": 0.5},
            {"rotation_trick": False},
            {**learnt, "sync_update_v": 0.3},
            {"directional_reparam": True, "threshold_ema_dead_code": 2},
            {"diveq": True},
            {"orthogonal_reg_weight": 0.5, "orthogonal_reg_active_codes_only": True},
            {"orthogonal_reg_weight": 0.5, "orthogonal_reg_max_codes": 2},
            {"codebook_diversity_loss_weight": 0.3, "codebook_diversity_temperature": 10.0},
            {"commitment_use_cross_entropy_loss": True},
            {"route_gradients_to_input": False},
            {"implicit_neural_codebook": True, "mlp_kwargs": {"depth": 2, "dim_hidden": 3}},
            {"beam_size": 2, "kmeans_init": False},
            {"beam_size": 2, "eval_beam_size": 3, "kmeans_init": False},
        )
    )
    return config


def width(kind: str, config: dict[str, Any]) -> int:
    """Latent channels."""
    if kind == "dithered_fsq":
        return config["dim"] * config["num_codebooks"]
    if kind == "fsq":
        return config.get("dim") or len(config["levels"]) * config["num_codebooks"]
    return config["input_dim"] if kind.startswith("dac") else config["dim"]


def encoded(config: dict[str, Any], batch: int = 3, frames: int = 9) -> torch.Tensor:
    """What an encoder might give the bottleneck."""
    channels = width(config["type"], config["config"])
    return torch.randn(batch, channels * (2 if config["type"].endswith("vae") else 1), frames)


def upstreams(config: dict[str, Any]) -> torch.nn.Module:
    if config["type"] == "softnorm":
        module = import_upstream("stable_audio_tools.models.bottleneck")
        return module.SoftNormBottleneck(**config["config"])
    if config["type"].startswith("dac"):
        import_upstream("dac.nn.quantize")
    factory = import_upstream("stable_audio_tools.models.factory")
    return factory.create_bottleneck_from_config(copy.deepcopy(config))
