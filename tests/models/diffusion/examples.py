"""Random small configs of diffusion autoencoders, and models of them with lively weights."""

from __future__ import annotations

import copy
import random
from typing import Any

import torch

import zoo
from tests.nets.diffusion.examples_adp import random_adp_1d_diffusion
from tests.nets.diffusion.examples_dau import random_dau_diffusion
from tests.nets.diffusion.examples_dit import random_dit_diffusion
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder

SMALL: dict[str, Any] = {
    "model_type": "diffusion_autoencoder",
    "sample_rate": 16000,
    "model": {
        "encoder": {
            "type": "oobleck",
            "config": {
                "in_channels": 2,
                "channels": 4,
                "c_mults": [1, 2],
                "strides": [2, 4],
                "latent_dim": 6,
            },
        },
        "bottleneck": {"type": "vae"},
        "diffusion": {
            "type": "dit",
            "config": {"patch_size": 4, "embed_dim": 64, "depth": 1, "num_heads": 2},
        },
        "latent_dim": 3,
        "downsampling_ratio": 8,
        "io_channels": 2,
    },
}
DIFFUSIONS = {
    "dit": random_dit_diffusion,
    "adp_1d": random_adp_1d_diffusion,
    "DAU1d": random_dau_diffusion,
}
WAVELET: dict[str, Any] = {
    "type": "wavelet",
    "config": {"channels": 2, "levels": 1, "wavelet": "bior4.4"},
}
PATCHED: dict[str, Any] = {"type": "patched", "config": {"channels": 2, "patch_size": 2}}


def random_diffusion_autoencoder(
    rng: random.Random,
    kind: str,
    *,
    decoder: bool | None = None,
    objective: str | None = "v",
) -> dict[str, Any]:
    """A sound config of stereo audio whose diffusion network is a `kind`.

    Args:
        decoder: whether there is one before the diffusion network; either if `None`.
        objective: of the diffusion network; any if `None`.
    """
    pretransform = rng.choice((None, None, WAVELET, PATCHED))
    channels, around = (4, 2) if pretransform else (2, 1)
    has_encoder = decoder or rng.random() < 0.75
    has_decoder = has_encoder and (rng.random() < 0.3 if decoder is None else decoder)
    bottleneck = rng.choice((None, "vae"))
    strides = [rng.choice((2, 4)) for _ in range(rng.randint(1, 2))] if has_encoder else []
    doubled = 2 if bottleneck else 1
    latent_dim = rng.randint(1, 4) if has_encoder else channels // doubled
    model: dict[str, Any] = {
        "latent_dim": latent_dim,
        "downsampling_ratio": around * torch.tensor(strides, dtype=torch.int64).prod().item(),
        "io_channels": 2,
    }
    if has_encoder:
        model["encoder"] = _oobleck(rng, strides, latent_dim * doubled, in_channels=channels)
    if bottleneck:
        model["bottleneck"] = {"type": bottleneck}
    if pretransform:
        model["pretransform"] = pretransform
    condition = latent_dim
    if has_decoder:
        condition = rng.randint(1, 4)
        upward = strides[: rng.randint(1, len(strides))]
        model["decoder"] = _oobleck(rng, upward, latent_dim, out_channels=condition)
    model["diffusion"] = DIFFUSIONS[kind](rng, channels, condition)
    parameters = model["diffusion"]["config"]
    if objective:
        parameters.pop("diffusion_objective", None)
        if kind == "dit" or objective != "v":
            parameters["diffusion_objective"] = objective
    return {"model_type": "diffusion_autoencoder", "sample_rate": 16000, "model": model}


def _oobleck(
    rng: random.Random, strides: list[int], latent_dim: int, **channels: int
) -> dict[str, Any]:
    config = {
        "channels": rng.randint(2, 5),
        "c_mults": [rng.randint(1, 2) for _ in strides],
        "strides": strides,
        "latent_dim": latent_dim,
        "use_snake": rng.random() < 0.5,
    }
    return {"type": "oobleck", "config": config | channels}


def lively(config: dict[str, Any], seed: int = 0) -> DiffusionAutoencoder:
    """The model with weights that all matter: many begin at zero or very small."""
    torch.manual_seed(seed)
    model = zoo.from_config(config)
    assert isinstance(model, DiffusionAutoencoder)
    with torch.no_grad():
        for name, weight in model.diffusion.named_parameters():
            fan = weight[0].numel() if weight.ndim > 1 and "embed.weight" not in name else 1
            weight.normal_(0, 0.2 if fan == 1 else 0.7 / fan**0.5)
            if name.endswith(("gamma", "alpha", "norm.weight")):
                weight.add_(1)
        for part in (model.encoder, model.decoder):
            for name, weight in part.named_parameters():
                if name.endswith("weight_g"):
                    weight.mul_(3)
    return model


def small(**changes: Any) -> DiffusionAutoencoder:
    """A model of `SMALL`, whose `model` section is changed."""
    config = copy.deepcopy(SMALL)
    config["model"] |= changes
    return lively(config)


def assert_same(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-4) -> None:
    """Of audio that is not silent or flat."""
    assert expected.isfinite().all() and expected.std() > 1e-3
    peak = float(expected.abs().max().clamp(min=1))
    torch.testing.assert_close(found, expected, atol=atol * peak, rtol=atol)
