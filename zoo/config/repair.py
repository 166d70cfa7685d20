"""What a contradicting config most likely means, written out."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.config import rules
from zoo.config.load import parse_schema
from zoo.config.model import AutoencoderConfig, DiffusionAutoencoderConfig
from zoo.config.rules.autoencoder import encoder_channels
from zoo.errors import Problem


@dataclass(frozen=True)
class Change:
    """One value that a repair replaces, and why."""

    path: str
    before: Any
    after: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.before} -> {self.after} ({self.reason})"


@dataclass(frozen=True)
class Repair:
    """A corrected copy of a config, and what no rule could mend."""

    config: dict[str, Any]
    changes: tuple[Change, ...]
    remaining: tuple[Problem, ...]


def repair(data: Mapping[str, Any], source: str = "") -> Repair:
    """Mends what the layers decide: they win over the summary beside them.

    The ratio becomes the product of the strides; the encoder in front of a VAE gives twice the
    declared latent channels. The declared latent channels and the decoder stay as they are.

    Raises:
        ConfigError: for problems of the schema, which leave nothing to compare.
    """
    container = parse_schema(data, source)
    fixed = copy.deepcopy(dict(data))
    changes = tuple(_changes(container.completed().model))
    for change in changes:
        _set(fixed, change.path, change.after)
    mended = parse_schema(fixed, source).completed()
    return Repair(fixed, changes, tuple(rules.contradictions(mended)))


def _changes(model: AutoencoderConfig | DiffusionAutoencoderConfig) -> Iterator[Change]:
    if model.encoder is None:
        return
    around = model.pretransform.ratio if model.pretransform else 1
    total = model.encoder.ratio * around
    # What a diffusion network is given need not be as fine as the audio.
    agreed = model.decoder is None or model.decoder.ratio == model.encoder.ratio
    if agreed and total != model.downsampling_ratio:
        yield Change(
            "model.downsampling_ratio",
            model.downsampling_ratio,
            total,
            f"the product of the strides of encoder{' and decoder' if model.decoder else ''}",
        )
    given, wanted = model.encoder.output_channels, encoder_channels(model)
    if given != wanted and wanted == 2 * model.latent_dim and model.bottleneck:
        yield Change(
            f"model.encoder.config.{model.encoder.latent_key}",
            given,
            wanted,
            f"twice model.latent_dim, since '{model.bottleneck.type}' takes a mean and a scale",
        )


def _set(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value
