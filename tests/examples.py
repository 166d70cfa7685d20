"""Random small configs, and the three of the schema's first document."""

from __future__ import annotations

import math
import random
from typing import Any

MINIMAL: dict[str, Any] = {
    "model": {
        "encoder": {"type": "oobleck", "config": {}},
        "decoder": {"type": "oobleck", "config": {}},
        "latent_dim": 32,
        "downsampling_ratio": 512,
        "io_channels": 2,
    },
    "sample_rate": 22050,
}

STANDARD: dict[str, Any] = {
    "model": {
        "encoder": {
            "type": "oobleck",
            "config": {"in_channels": 2, "latent_dim": 128, "channels": 256},
        },
        "decoder": {
            "type": "oobleck",
            "config": {"out_channels": 2, "latent_dim": 128, "channels": 256, "final_tanh": True},
            "soft_clip": False,
        },
        "latent_dim": 128,
        "downsampling_ratio": 2048,
        "io_channels": 2,
        "bottleneck": {"type": "vae", "config": {}},
    },
    "sample_rate": 48000,
}

DIFFUSION: dict[str, Any] = {
    "model": {
        "encoder": {"type": "oobleck", "config": {"in_channels": 2, "latent_dim": 64}},
        "decoder": {"type": "oobleck", "config": {"out_channels": 2, "latent_dim": 64}},
        "diffusion": {"type": "dit", "config": {"transformer_depth": 12, "num_heads": 16}},
        "latent_dim": 64,
        "downsampling_ratio": 1024,
        "io_channels": 2,
    },
    "sample_rate": 44100,
}


def random_oobleck(rng: random.Random, strides: tuple[int, ...] = (2, 4, 6)) -> dict[str, Any]:
    """A sound config of a small Oobleck autoencoder with strides out of `strides`."""
    blocks = rng.randint(1, 3)
    chosen = [rng.choice(strides) for _ in range(blocks)]
    mults = [rng.randint(1, 3) for _ in range(blocks)]
    io_channels, latent_dim = rng.choice((1, 2, 6)), rng.randint(1, 5)
    bottleneck = rng.choice((None, "vae", "tanh", "l2_norm", "wasserstein"))
    shared = {
        "channels": rng.randint(2, 9),
        "c_mults": mults,
        "strides": chosen,
        "use_snake": rng.random() < 0.7,
        "antialias_activation": rng.random() < 0.4,
    }
    encoder = {**shared, "in_channels": io_channels}
    encoder["latent_dim"] = latent_dim * (2 if bottleneck == "vae" else 1)
    decoder = {
        **shared,
        "out_channels": io_channels,
        "latent_dim": latent_dim,
        "use_nearest_upsample": rng.random() < 0.3,
        "final_tanh": rng.random() < 0.5,
    }
    ratio = 1
    for stride in chosen:
        ratio *= stride
    model: dict[str, Any] = {
        "encoder": {"type": "oobleck", "config": encoder},
        "decoder": {
            "type": "oobleck",
            "config": decoder,
            "soft_clip": rng.random() < 0.2,
        },
        "latent_dim": latent_dim,
        "downsampling_ratio": ratio,
        "io_channels": io_channels,
    }
    if bottleneck is not None:
        model["bottleneck"] = {"type": bottleneck}
    return {"model_type": "autoencoder", "sample_rate": 22050, "model": model}


def random_dac(rng: random.Random, strides: tuple[int, ...] = (2, 4, 6)) -> dict[str, Any]:
    """A sound config of a small DAC autoencoder with strides out of `strides`."""
    chosen = [rng.choice(strides) for _ in range(rng.randint(1, 3))]
    io_channels, latent_dim = rng.choice((1, 2, 6)), rng.randint(1, 5)
    bottleneck = rng.choice((None, "vae", "tanh", "l2_norm", "wasserstein"))
    encoder = {"d_model": rng.randint(2, 5), "strides": chosen, "in_channels": io_channels}
    if rng.random() < 0.25:
        # Without a projection the encoder's width is the latents'.
        encoded = encoder["d_model"] * 2 ** len(chosen)
        latent_dim = encoded // (2 if bottleneck == "vae" else 1)
    else:
        encoder["latent_dim"] = latent_dim * (2 if bottleneck == "vae" else 1)
    decoder = {
        "latent_dim": latent_dim,
        "channels": rng.randint(8, 20),
        "rates": rng.sample(chosen, len(chosen)),
        "out_channels": io_channels,
    }
    return _autoencoder("dac", rng, encoder, decoder, chosen, latent_dim, io_channels, bottleneck)


def random_seanet(
    rng: random.Random, ratios: tuple[int, ...] = (1, 2, 3, 4, 5), finite: bool = False
) -> dict[str, Any]:
    """A sound config of a small SEANet autoencoder with ratios out of `ratios`.

    Args:
        finite: only layers with a finite receptive field.
    """
    chosen = [rng.choice(ratios) for _ in range(rng.randint(1, 3))]
    io_channels, latent_dim = rng.choice((1, 2, 6)), rng.randint(1, 5)
    bottleneck = rng.choice((None, "vae", "tanh", "l2_norm"))
    causal = rng.random() < 0.4
    norms = ["weight_norm", "weight_norm", "none", "spectral_norm", "time_layer_norm"]
    norms += [] if finite or causal else ["time_group_norm"]
    activation, parameters = rng.choice(
        [
            ("ELU", None),
            ("ELU", {"alpha": 0.5}),
            ("ReLU", {}),
            ("LeakyReLU", {"negative_slope": 0.2}),
            ("PReLU", {}),
            ("GELU", {}),
        ]
    )
    norm = rng.choice(norms)
    shared = {
        "channels": io_channels,
        "n_filters": rng.randint(2, 5),
        "n_residual_layers": rng.randint(0, 2),
        "activation": activation,
        "norm": norm,
        "kernel_size": rng.randint(1, 7),
        "last_kernel_size": rng.randint(1, 7),
        "residual_kernel_size": rng.randint(1, 4),
        "dilation_base": rng.randint(1, 3),
        "causal": causal,
        "pad_mode": rng.choice(
            ("reflect", "reflect", "constant", "replicate") + (() if finite else ("circular",))
        ),
        "true_skip": rng.random() < 0.5,
        "compress": rng.randint(1, 2),
        "lstm": 0 if finite else rng.randint(0, 2),
    }
    if parameters is not None:
        shared["activation_params"] = parameters
    if norm == "time_group_norm":
        shared["norm_params"] = rng.choice(({}, {"eps": 1e-3}, {"affine": False}))
    encoded = latent_dim * (2 if bottleneck == "vae" else 1)
    encoder = {**shared, "dimension": encoded, "ratios": chosen}
    decoder = {**shared, "dimension": latent_dim, "ratios": rng.sample(chosen, len(chosen))}
    if rng.random() < 0.4:
        decoder["final_activation"] = rng.choice(("Tanh", "LeakyReLU"))
        if rng.random() < 0.5 and decoder["final_activation"] == "LeakyReLU":
            decoder["final_activation_params"] = {"negative_slope": 0.3}
    if causal:
        decoder["trim_right_ratio"] = rng.choice((0.0, 0.5, 1.0))
    return _autoencoder(
        "seanet", rng, encoder, decoder, chosen, latent_dim, io_channels, bottleneck
    )


def random_taae(rng: random.Random, strides: tuple[int, ...] = (1, 2, 3, 4)) -> dict[str, Any]:
    """A sound config of a small transformer autoencoder with strides out of `strides`."""
    blocks = rng.randint(1, 2)
    chosen = [rng.choice(strides) for _ in range(blocks)]
    bottleneck = rng.choice((None, "vae", "tanh"))
    io_channels, latent_dim = rng.choice((1, 2)), rng.randint(1, 5)
    shared = {
        "channels": rng.randint(1, 9),
        "c_mults": [rng.randint(1, 3) for _ in range(blocks)],
        "strides": chosen,
        "transformer_depths": [rng.randint(0, 2) for _ in range(blocks)],
        "use_snake": rng.random() < 0.5,
        "sliding_window": rng.choice((None, [rng.randint(0, 9), rng.randint(0, 9)], [-1, 3])),
        "checkpointing": rng.random() < 0.3,
        "conformer": rng.random() < 0.3,
        "layer_scale": rng.random() < 0.7,
        "use_dilated_conv": rng.random() < 0.3,
    }
    encoder = {**shared, "in_channels": io_channels}
    encoder["latent_dim"] = latent_dim * (2 if bottleneck == "vae" else 1)
    decoder = {**shared, "out_channels": io_channels, "latent_dim": latent_dim}
    return _autoencoder("taae", rng, encoder, decoder, chosen, latent_dim, io_channels, bottleneck)


def random_local_attention(rng: random.Random) -> dict[str, Any]:
    """A sound config of a small autoencoder of local attention."""
    blocks = rng.randint(1, 2)
    ratios = [rng.randint(1, 4) for _ in range(blocks)]
    bottleneck = rng.choice((None, "vae", "tanh"))
    io_channels, latent_dim = rng.choice((1, 2)), rng.randint(1, 5)
    heads = [rng.randint(1, 3) for _ in range(blocks)]
    shared = {
        "embed_dims": [count * rng.randint(1, 8) for count in heads],
        "heads": heads,
        "depths": [rng.randint(0, 2) for _ in range(blocks)],
        "local_attn_window_size": rng.randint(1, 20),
        "causal": rng.random() < 0.5,
        "ff_mult": rng.choice((1, 2, 1.5)),
    }
    wide = latent_dim * (2 if bottleneck == "vae" else 1)
    encoder = {**shared, "ratios": ratios, "in_channels": io_channels, "out_channels": wide}
    decoder = {**shared, "ratios": ratios[::-1]}
    decoder |= {"in_channels": latent_dim, "out_channels": io_channels}
    return _autoencoder(
        "local_attn", rng, encoder, decoder, ratios, latent_dim, io_channels, bottleneck
    )


def _autoencoder(
    kind: str,
    rng: random.Random,
    encoder: dict[str, Any],
    decoder: dict[str, Any],
    strides: list[int],
    latent_dim: int,
    io_channels: int,
    bottleneck: str | None,
) -> dict[str, Any]:
    model: dict[str, Any] = {
        "encoder": {"type": kind, "config": encoder},
        "decoder": {"type": kind, "config": decoder, "soft_clip": rng.random() < 0.2},
        "latent_dim": latent_dim,
        "downsampling_ratio": math.prod(strides),
        "io_channels": io_channels,
    }
    if bottleneck is not None:
        model["bottleneck"] = {"type": bottleneck}
    return {"model_type": "autoencoder", "sample_rate": 22050, "model": model}
