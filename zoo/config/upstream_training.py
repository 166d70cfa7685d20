"""From a config file of stable-audio-tools to its checked `training` section."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from zoo.config.problems import validate
from zoo.config.upstream_keys import ENCODEC, ONLY, OPTIMIZERS, REFUSED, UNREAD
from zoo.config.upstream_sections import (
    AutoencoderTraining,
    DiffusionAutoencoderTraining,
    UpstreamTraining,
)
from zoo.errors import ConfigError, Problem

SECTION = "training"
Tell = Callable[[Problem], None]
_ABSENT = object()


def parse_training(data: Mapping[str, Any], kind: str, source: str, tell: Tell) -> UpstreamTraining:
    """The `training` section of `data`, upstream's defaults filled in.

    Args:
        data: a whole config file.
        kind: its `model_type`.
        tell: gets a line for each key that is taken, but not read.

    Raises:
        ConfigError: with every problem, paths from `training` on.
    """
    given = data[SECTION]
    if not isinstance(given, Mapping):
        raise ConfigError([Problem(SECTION, "must be a mapping of keys to values")], source)
    section = copy.deepcopy(dict(cast(Mapping[str, Any], given)))
    diffusion = kind == "diffusion_autoencoder"
    problems = list(_refused(section, REFUSED["diffusion" if diffusion else "autoencoder"]))
    for path, message in UNREAD.items():
        if _taken(section, path) is not _ABSENT:
            tell(Problem(f"{SECTION}.{path}", f"not used: {message}"))
    if section.get("optimizer_configs") is None:
        section.pop("optimizer_configs", None)
        if section.get("learning_rate") is None:
            problems.append(Problem("learning_rate", "required, but missing"))
    elif section.get("learning_rate") not in (None, *_rates(section)):
        message = "not used: optimizer_configs has the rates"
        tell(Problem(f"{SECTION}.learning_rate", message))
    if not diffusion:
        problems += _losses(section)
    problems += _optimizers(section)
    parsed: UpstreamTraining | None = None
    try:
        cls = DiffusionAutoencoderTraining if diffusion else AutoencoderTraining
        parsed = validate(cls, section)
        problems += parsed.contradictions()
    except ConfigError as error:
        problems += error.problems
    if problems or parsed is None:
        raise ConfigError([Problem(f"{SECTION}.{p.path}", p.message) for p in problems], source)
    return parsed


def _refused(section: dict[str, Any], refused: Mapping[str, str]) -> Iterator[Problem]:
    for path, message in refused.items():
        if _taken(section, path) is not _ABSENT:
            yield Problem(path, message)
    for path, only in ONLY.items():
        value = _taken(section, path)
        if value is not _ABSENT and value != only:
            yield Problem(path, f"only {only!r} can be had here, not {value!r}; leave it out")


def _taken(section: dict[str, Any], path: str) -> Any:
    """The value at `path`, which is removed; `_ABSENT` where there is none."""
    *parents, last = path.split(".")
    for key in parents:
        section = _mapping(section.get(key))
    return section.pop(last, _ABSENT)


def _mapping(value: Any) -> dict[str, Any]:
    """`value` itself, or an empty mapping in place of anything else."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _rates(section: dict[str, Any]) -> Iterator[Any]:
    for network in _mapping(section["optimizer_configs"]).values():
        optimizer = _mapping(_mapping(network).get("optimizer"))
        yield _mapping(optimizer.get("config")).get("lr")


def _optimizers(section: dict[str, Any]) -> Iterator[Problem]:
    """Fills in torch's defaults; those of a recipe are others."""
    networks = _mapping(section.get("optimizer_configs"))
    if not networks:
        return
    judged = "discriminator" in _mapping(section.get("loss_configs"))
    for name in ("autoencoder", "discriminator") if judged else ("autoencoder",):
        path = f"optimizer_configs.{name}"
        if name not in networks:
            yield Problem(path, "required, but missing")
        elif "optimizer" not in _mapping(networks[name]):
            yield Problem(f"{path}.optimizer", "required, but missing")
    for network in networks.values():
        optimizer = _mapping(_mapping(network).get("optimizer"))
        defaults = OPTIMIZERS.get(str(optimizer.get("type")))
        if defaults is not None and isinstance(optimizer.setdefault("config", {}), dict):
            optimizer["config"] = {**defaults, **optimizer["config"]}


def _losses(section: dict[str, Any]) -> Iterator[Problem]:
    """Fills in the losses of a section without any, and the discriminator's own defaults."""
    if section.get("loss_configs") is None:
        section["loss_configs"] = _default_losses()
    losses = _mapping(section["loss_configs"])
    if "discriminator" not in losses:
        return
    judge = _mapping(losses["discriminator"])
    if not judge:
        yield Problem("loss_configs.discriminator", "needs a type; leave it out for none")
        return
    for name in ("adversarial", "feature_matching"):
        if name not in _mapping(judge.get("weights")):
            yield Problem(f"loss_configs.discriminator.weights.{name}", "required, but missing")
    if judge.get("type") == "encodec" and isinstance(judge.setdefault("config", {}), dict):
        judge["config"] = {**ENCODEC, **judge["config"]}


def _default_losses() -> dict[str, Any]:
    scales = [2048, 1024, 512, 256, 128, 64, 32]
    hops = [scale // 4 for scale in scales]
    judge = {"n_ffts": scales, "hop_lengths": hops, "win_lengths": scales, "filters": 32}
    spectra = {"fft_sizes": scales, "hop_sizes": hops, "win_lengths": scales}
    return {
        "discriminator": {
            "type": "encodec",
            "config": judge,
            "weights": {"adversarial": 0.1, "feature_matching": 5.0},
        },
        "spectral": {
            "config": {**spectra, "perceptual_weighting": True},
            "weights": {"mrstft": 1.0},
        },
    }
