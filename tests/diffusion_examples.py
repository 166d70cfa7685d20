"""Random small configs of diffusion autoencoders, of every type and made of any parts."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

from tests.models.test_pretransform import channels_and_ratio, each
from tests.nets.diffusion.examples_adp import random_adp_1d_diffusion
from tests.nets.diffusion.examples_dau import random_dau_diffusion
from tests.nets.diffusion.examples_dit import random_dit_diffusion
from tests.nets.quantizers import material as quantizers

NETWORKS = {
    "dit": random_dit_diffusion,
    "adp_1d": random_adp_1d_diffusion,
    "DAU1d": random_dau_diffusion,
}
_BOTTLENECKS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"type": "vae"},
    {"type": "tanh", "config": {"scale": 2.0}},
    {"type": "l2_norm"},
    {"type": "wasserstein", "config": {"noise_augment_dim": 2}},
)


def random_diffusion_autoencoder(
    rng: random.Random,
    kind: str | None = None,
    *,
    encoder: bool | None = None,
    decoder: bool | None = None,
    pretransform: bool | None = None,
) -> dict[str, Any]:
    """A sound config; `kind` is that of the network, and each part is there, or not, or maybe."""
    has_encoder, has_decoder, around = (
        rng.random() < share if wanted is None else wanted
        for wanted, share in ((encoder, 0.75), (decoder, 0.5), (pretransform, 0.3))
    )
    audio = 2 if around else rng.choice((1, 2))
    model: dict[str, Any] = {"io_channels": audio}
    channels, ratio = audio, 1
    if around:
        model["pretransform"] = rng.choice(each())
        channels, ratio = channels_and_ratio(model["pretransform"])
    bottleneck, latent_dim = copy.deepcopy(rng.choice(_BOTTLENECKS)), rng.randint(1, 4)
    if has_encoder and rng.random() < 0.3:
        bottleneck = quantizers.random_config(rng.choice(quantizers.TYPES), rng)
        latent_dim = quantizers.width(bottleneck["type"], bottleneck["config"])
    doubled = 2 if bottleneck and bottleneck["type"].endswith("vae") else 1
    if not has_encoder and channels % doubled:
        bottleneck, doubled = None, 1
    if not has_encoder:
        latent_dim = channels // doubled
    model |= {"latent_dim": latent_dim, "downsampling_ratio": ratio}
    strides = [rng.choice((2, 3, 4)) for _ in range(rng.randint(1, 2))] if has_encoder else [1]
    if has_encoder:
        options = _network(rng, strides) | {"in_channels": channels}
        options["latent_dim"] = doubled * latent_dim
        model["encoder"] = {"type": "oobleck", "config": options}
        model["downsampling_ratio"] *= math.prod(strides)
    condition = latent_dim
    if bottleneck:
        model["bottleneck"] = bottleneck
        condition += bottleneck.get("config", {}).get("noise_augment_dim", 0)
    if has_decoder:
        options = _network(rng, rng.sample(strides, rng.randint(1, len(strides))))
        options |= {"latent_dim": condition, "out_channels": rng.randint(1, 3)}
        model["decoder"] = {"type": "oobleck", "config": options, "soft_clip": rng.random() < 0.2}
        condition = options["out_channels"]
    network = NETWORKS[kind or rng.choice(sorted(NETWORKS))]
    model["diffusion"] = network(rng, channels, condition)
    if rng.random() < 0.3:
        sampler = rng.choice(("ddim", "dpmpp_2m", "euler", "heun", "pingpong"))
        model["sampling"] = {"sampler": sampler, "steps": rng.randint(1, 4)}
    return {"model_type": "diffusion_autoencoder", "sample_rate": 16000, "model": model}


def _network(rng: random.Random, strides: list[int]) -> dict[str, Any]:
    return {
        "channels": rng.randint(2, 6),
        "c_mults": [rng.randint(1, 2) for _ in strides],
        "strides": strides,
        "use_snake": rng.random() < 0.5,
    }
