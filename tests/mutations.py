"""Sound configs with one thing wrong: what a typing error or a careless edit makes of a file."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

import zoo
from tests import examples
from tests.conftest import TINY
from tests.diffusion_examples import NETWORKS, random_diffusion_autoencoder
from tests.models import test_pretransform
from tests.nets.quantizers import material as quantizers
from zoo.config.load import load_config
from zoo.errors import ConfigError
from zoo.factory import create_model_from_config
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder


def quantised(rng: random.Random) -> dict[str, Any]:
    """An Oobleck autoencoder with a discrete bottleneck, or softnorm."""
    kind = rng.choice(quantizers.TYPES)
    bottleneck = quantizers.random_config(kind, rng)
    latent_dim = quantizers.width(kind, bottleneck["config"])
    config = copy.deepcopy(TINY)
    model = config["model"]
    doubled = 2 if kind.endswith("vae") else 1
    model["encoder"]["config"]["latent_dim"] = doubled * latent_dim
    noise = bottleneck["config"].get("noise_augment_dim", 0)
    model["decoder"]["config"]["latent_dim"] = latent_dim + noise
    model |= {"latent_dim": latent_dim, "bottleneck": bottleneck}
    return config


def wrapped(rng: random.Random) -> dict[str, Any]:
    """An Oobleck autoencoder with a pretransform."""
    return test_pretransform.around(rng.choice(test_pretransform.each()), TINY)


SOUND: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    examples.random_oobleck,
    examples.random_dac,
    examples.random_seanet,
    examples.random_taae,
    examples.random_local_attention,
    quantised,
    wrapped,
    *(partial(random_diffusion_autoencoder, kind=kind) for kind in sorted(NETWORKS)),
)
_LARGEST = 5_000_000
_WRONG: tuple[Any, ...] = (None, True, "4", "x", 2.5, -1, 0, [], [0], {}, {"a": 1}, float("nan"))


@dataclass(frozen=True)
class Mutation:
    """A config, the key that was touched (by the name that is there now), and how."""

    config: dict[str, Any]
    key: str
    kind: str


def mutate(rng: random.Random) -> Mutation:
    """One sound config of any type with one key dropped, renamed, mistyped or contradicting."""
    config = copy.deepcopy(rng.choice(SOUND)(rng))
    holder, key = rng.choice(_keys(config))
    kind = rng.choice(("dropped", "renamed", "mistyped", "contradicting"))
    match kind:
        case "dropped":
            del holder[key]
        case "renamed":
            value = holder.pop(key)
            cut = rng.randrange(len(key))
            key = key[:cut] + rng.choice("xyz_") + key[cut:]
            holder[key] = value
        case "mistyped":
            holder[key] = copy.deepcopy(rng.choice(_WRONG))
        case "contradicting":
            holder[key] = _other(rng, holder[key])
    return Mutation(config, key, kind)


def _keys(config: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    found: list[tuple[dict[str, Any], str]] = []
    for key, value in config.items():
        found.append((config, key))
        if isinstance(value, dict):
            found += _keys(value)
    return found


def _other(rng: random.Random, value: Any) -> Any:
    """A value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return max(1, value + rng.choice((-2, -1, 1, 2, value)))
        case list():
            return [*value, 2] if rng.random() < 0.5 else value[:-1]
        case _:
            return value


def outcome(mutation: Mutation) -> str:
    """`"accepted"` or `"refused"`; raises AssertionError for anything else."""
    before = copy.deepcopy(mutation.config)
    config, refusal = None, ""
    try:
        config = load_config(mutation.config)
    except ConfigError as error:
        refusal = str(error)
    if config is None:
        # Without a pretransform, what was made to fit it is what contradicts the rest.
        named = mutation.key in refusal or mutation.key == "pretransform"
        assert named, f"{mutation.kind} {mutation.key}: {refusal}"
        return "refused"
    assert repr(mutation.config) == repr(before), "the config was changed"
    with torch.device("meta"):
        size = sum(weight.numel() for weight in create_model_from_config(config).parameters())
    if size < _LARGEST:
        model = zoo.from_config(config)
        audio = torch.randn(1, model.in_channels, 3 * model.downsampling_ratio)
        with torch.no_grad():
            latents = model.encode(audio)
            assert latents.shape == (1, model.latent_dim, 3)
            steps = {"steps": 1} if isinstance(model, DiffusionAutoencoder) else {}
            decoded = model.decode(latents, **steps)
        assert decoded.shape == (1, model.out_channels, audio.shape[-1])
    return "accepted"
