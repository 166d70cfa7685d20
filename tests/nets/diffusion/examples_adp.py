"""Random small configs of the U-Net of audio-diffusion-pytorch."""

from __future__ import annotations

import random
from typing import Any


def random_adp_1d_diffusion(
    rng: random.Random, channels: int, condition: int, *, stft: bool = False
) -> dict[str, Any]:
    """A sound `diffusion` section for so many channels of audio and of the condition.

    Args:
        stft: whether it works on an STFT.
    """
    attending = rng.random() < 0.6
    blocks = rng.randint(0, 2 if attending else 3)
    unit, groups = (16, rng.choice((1, 4, 8, 16))) if attending else (6, rng.choice((1, 2, 3, 6)))
    multipliers = [rng.randint(1, 2 if attending else 3) for _ in range(blocks + 1)]
    config: dict[str, Any] = {
        "channels": unit,
        "multipliers": multipliers,
        "factors": [rng.randint(1, 4) for _ in range(blocks)],
        "num_blocks": [rng.randint(0, 1 if attending else 2) for _ in range(blocks)],
        "attentions": [0] * (blocks + rng.randint(0 if blocks else 1, 2)),
        "patch_size": rng.choice((1, 2) if attending else (1, 2, 3)),
        "resnet_groups": groups,
        "use_context_time": rng.random() < 0.8,
        "kernel_multiplier_downsample": rng.choice((2, 4)),
        "use_nearest_upsample": rng.random() < 0.5,
        "use_skip_scale": rng.random() < 0.5,
        "context_features_multiplier": rng.randint(1, 2),
    }
    if attending:
        # Only where the width is 32; what lies between the blocks and the middle is not used.
        wide = [multiplier == 2 for multiplier in multipliers[1:]]
        unused = len(config["attentions"]) - blocks
        wide += [multipliers[-1] == 2] * unused
        config["attentions"] = [rng.randint(0, 2) if there else 0 for there in wide]
        config["attention_multiplier"] = rng.randint(1, 2)
        given = rng.choice((("heads",), ("features",), ("heads", "features")))
        config |= {f"attention_{key}": rng.randint(2, 7) for key in given}
    if rng.random() < 0.3:
        config |= {"in_channels": channels, "context_channels": [condition]}
    if rng.random() < 0.3:
        config["out_channels"] = channels
    if rng.random() < 0.2 and blocks and not stft:
        # The condition joins behind the first block, which leaves the rate as it is.
        config |= {"patch_size": 1, "context_channels": [0, condition, *rng.choice(([], [0]))]}
        config["factors"][0], config["num_blocks"][0] = 1, rng.randint(1, 2)
        config["resnet_groups"] = 1
    if stft:
        hop = rng.randint(1, 3)
        config |= {
            "use_stft": True,
            "use_stft_context": True,
            "stft_num_fft": 3 * hop + rng.randint(0, 4),
            "stft_hop_length": hop,
            "stft_use_complex": rng.random() < 0.5,
        }
        if rng.random() < 0.5:
            config["stft_window_length"] = rng.randint(3 * hop, config["stft_num_fft"])
    return {"type": "adp_1d", "config": config}
