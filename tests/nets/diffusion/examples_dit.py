"""Random small configs of a diffusion transformer."""

from __future__ import annotations

import random
from typing import Any


def random_dit_diffusion(
    rng: random.Random, channels: int, condition: int, *, more_conditions: bool = False
) -> dict[str, Any]:
    """A sound `diffusion` section whose weights all take part.

    Args:
        more_conditions: also with cross-attention, a global and a prepended condition, and
            without what only they would use.
    """
    heads = rng.randint(1, 2)
    rotary = rng.random() < 0.6
    # upstream: divides by zero for heads of 4 or 5 channels with add_rope.
    width = heads * (rng.randint(32, 37) if rotary else rng.choice((6, 7, 8, 12, 20)))
    config: dict[str, Any] = {
        "patch_size": rng.randint(1, 4),
        "embed_dim": width,
        "num_heads": heads,
        rng.choice(("depth", "transformer_depth")): rng.randint(1, 2),
        "rotary_pos_emb": rotary,
        "global_cond_type": rng.choice(("prepend", "adaLN")),
        "zero_init_branch_outputs": rng.random() < 0.5,
        "conformer": rng.random() < 0.3,
        "use_abs_pos_emb": rng.random() < 0.3,
        "num_memory_tokens": rng.choice((0, 0, 1, 3)),
        "causal": rng.random() < 0.2,
        "remove_norms": rng.random() < 0.3,
        "add_rope": rng.random() < 0.4,
        "layer_scale": rng.random() < 0.3,
        "sliding_window": rng.choice((None, None, [rng.randint(0, 9), rng.randint(0, 9)], [-1, 3])),
        "attn_kwargs": {
            "qk_norm": rng.choice(("none", "l2", "ln", "dyt")),
            "differential": rng.random() < 0.3,
            "feat_scale": rng.random() < 0.3,
        },
        "ff_kwargs": {
            "mult": rng.choice((1, 2, 1.5)),
            "no_bias": rng.random() < 0.4,
            "glu": rng.random() < 0.6,
            "use_conv": rng.random() < 0.4,
            "conv_kernel_size": rng.choice((1, 3, 5)),
        },
        "norm_kwargs": {
            "bias": rng.random() < 0.4,
            "fix_scale": rng.random() < 0.4,
            "force_fp32": rng.random() < 0.3,
            "eps": rng.choice((1e-5, 1e-2)),
        },
    }
    config["use_sinusoidal_emb"] = not config["use_abs_pos_emb"] and width % 2 == 0 and not rotary
    if rng.random() < 0.5:
        config["diffusion_objective"] = rng.choice(("v", "rectified_flow", "rf_denoiser"))
    if rng.random() < 0.3:
        config |= {"io_channels": channels, "input_concat_dim": condition}
    if config["use_abs_pos_emb"]:
        config["abs_pos_emb_max_length"] = 100_000
    # With adaptive norms the timestep at the input would leave them without any condition.
    if config["global_cond_type"] == "prepend" and rng.random() < 0.3:
        config |= {"timestep_cond_type": "input_concat", "timestep_embed_dim": rng.randint(1, 5)}
    if more_conditions:
        config |= _more_conditions(rng, heads, width)
    elif rng.random() < 0.2:
        config["attn_kwargs"]["dim_context"] = width
    return {"type": "dit", "config": config}


def _more_conditions(rng: random.Random, heads: int, width: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "project_cond_tokens": rng.random() < 0.6,
        "project_global_cond": rng.random() < 0.6,
        "final_cross_attn_ix": rng.choice((-1, 0)),
        "prepend_cond_dim": rng.randint(1, 5),
    }
    # Without a projection the tokens' channels are heads that serve several of the queries'.
    own = rng.choice((1, heads)) * width // heads
    config["cond_token_dim"] = rng.randint(1, 5) if config["project_cond_tokens"] else own
    config["global_cond_dim"] = rng.randint(1, 5) if config["project_global_cond"] else width
    return config
