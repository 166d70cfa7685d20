"""Random small configs of `DAU1d`."""

from __future__ import annotations

import random
from typing import Any


def random_dau_diffusion(rng: random.Random, channels: int, condition: int) -> dict[str, Any]:
    """A sound `diffusion` section for so many channels of audio and condition."""
    depth = rng.randint(2, 4)
    learned = rng.random() < 0.6
    strides = [rng.randint(1, 4) if learned else 2 for _ in range(depth - 1)]
    attends = rng.random() < 0.5
    n_attn_layers = rng.randint(1, depth) if attends else 0
    first = max(2, depth - n_attn_layers) - 2 if attends else depth
    widths = [rng.randint(1, 9) for _ in range(first)]
    widths += [rng.choice((32, 33, 40, 64, 66)) for _ in range(depth - first)]
    surplus = rng.randint(0, 2)
    config: dict[str, Any] = {
        "depth": depth,
        "n_attn_layers": n_attn_layers,
        "channels": widths + [1] * surplus,
        "cond_noise_aug": rng.random() < 0.4,
        "kernel_size": rng.choice((1, 3, 5, 7)),
        "learned_resample": learned,
        "conv_bias": rng.random() < 0.5,
    }
    if learned or rng.random() < 0.5:
        config["strides"] = strides + [7] * surplus
    if rng.random() < 0.5:
        config |= {"io_channels": channels, "cond_dim": condition}
    if rng.random() < 0.3:
        config["diffusion_objective"] = rng.choice(("v", "rectified_flow", "rf_denoiser"))
    return {"type": "DAU1d", "config": config}
