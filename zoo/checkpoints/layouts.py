"""Whose weight file this is, by its keys, and its weights under upstream's keys.

Source: stable_audio_tools, training/autoencoders.py and training/diffusion.py (prefixes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor

from zoo.checkpoints import diffusers, encodec
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.published import parse_audiocraft, parse_dac
from zoo.checkpoints.tensor_file import SafeTensors
from zoo.errors import CheckpointError

Which = Literal["averaged", "online"]
# The parts of a model, as its keys begin.
_PARTS = ("encoder.", "decoder.", "bottleneck.", "pretransform.", "diffusion.")
# What upstream's training wrappers call the trained model, and its average.
_WRAPPED = (("autoencoder.", "autoencoder_ema.ema_model."), ("diffae.", "diffae_ema.ema_model."))
# An autoencoder in a text-to-audio model, and in the checkpoint of training one. A diffusion
# autoencoder of ours without an encoder has the first one beside `diffusion.`.
_INSIDE = ("pretransform.model.", "diffusion.pretransform.model.")
# What DistributedDataParallel and torch.compile put into keys.
_WRAPPERS = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class Found:
    """What was recognised.

    Args:
        config: what the layout itself says, in the form of stable-audio-tools.
    """

    layout: str
    weights: Mapping[str, Tensor]
    config: Mapping[str, Any] | None = None


class Renamed(Mapping[str, Tensor]):
    """Tensors under other names, each read when it is asked for."""

    def __init__(self, state: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
        self._state, self._names = state, names

    def __getitem__(self, key: str) -> Tensor:
        return self._state[self._names[key]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def recognise(
    content: Mapping[str, Any],
    sidecar: Mapping[str, Any] | None,
    path: Path,
    which: Which = "averaged",
    part: str | None = None,
) -> Found:
    """The autoencoder in a file.

    Args:
        content: tensors by their keys, or what `torch.save` has written.
        sidecar: the config file beside it.
        part: take the keys that begin with this.

    Raises: CheckpointError for a file without weights, or whose metadata is not as it should be.
    """
    if which not in ("averaged", "online"):
        raise CheckpointError(f"weights '{which}': unknown (allowed: averaged, online)")
    if not isinstance(content, SafeTensors):
        if "best_state" in content or "xp.cfg" in content or "pretrained" in content:
            return _of(parse_audiocraft(content, path), "audiocraft")
        metadata = content.get("metadata")
        if isinstance(metadata, Mapping) and "kwargs" in metadata:
            return _of(parse_dac(content, path), "descript-audio-codec")
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: holds no weights")
    if part is not None:
        weights = _below(state, f"{part}.")
        if not weights:
            raise CheckpointError(f"{path}: no key begins with '{part}.'")
        layout = f"{part} of a larger model"
    elif which == "averaged" and isinstance(average := content.get(EMA_KEY), Mapping) and average:
        layout, weights = "zoo checkpoint, averaged weights", cast(dict[str, Tensor], dict(average))
    else:
        layout, weights = _unwrapped(_bare(state), which)
    return _converted(layout, weights, sidecar, path)


def container_of(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The autoencoder's config in that of any model; None where it has none."""
    if "encoder_hidden_size" in config or "_class_name" in config:
        return None
    model = config.get("model")
    if not isinstance(model, Mapping):
        return None
    around = model.get("pretransform")
    if config.get("model_type", "autoencoder") in (
        "autoencoder",
        "hyperencoder",
        "diffusion_autoencoder",
    ):
        return config
    if not isinstance(around, Mapping) or around.get("type") != "autoencoder":
        return None
    container = {"model_type": "autoencoder", "model": cast(Any, around["config"])}
    shared = ("sample_rate", "sample_size", "audio_channels")
    return {**{key: config[key] for key in shared if key in config}, **container}


def _of(published: Any, layout: str) -> Found:
    return Found(layout, published.weights, published.config)


def _converted(
    layout: str, weights: dict[str, Tensor], sidecar: Mapping[str, Any] | None, path: Path
) -> Found:
    """`weights` under upstream's keys, where they are another package's."""
    if diffusers.is_oobleck(weights):
        layout = "diffusers AutoencoderOobleck"
        return Found(layout, diffusers.to_upstream(weights), diffusers.container(sidecar, path))
    if encodec.is_transformers(weights):
        config = encodec.of_transformers(sidecar, path)
        return Found("transformers EnCodec", encodec.from_transformers(weights), config)
    if encodec.is_encodec(weights):
        return Found("encodec", encodec.from_encodec(weights), encodec.guessed(weights))
    return Found(layout, weights)


def _unwrapped(state: Mapping[str, Tensor], which: Which) -> tuple[str, dict[str, Tensor]]:
    """What the file is, and the model's own keys."""
    for online, averaged in _WRAPPED:
        has_average, has_online = _has(state, averaged), _has(state, online)
        if has_average or has_online:
            wanted = (which == "averaged" and has_average) or not has_online
            kind = "averaged" if wanted else "online"
            weights = _below(state, averaged if wanted else online)
            return f"stable-audio-tools training checkpoint, {kind} weights", weights
    if not any(key.startswith(_PARTS[:3]) for key in state):
        wrapped = any(key.startswith("diffusion.") for key in state)
        if inside := _below(state, _INSIDE[wrapped]):
            return "autoencoder in a text-to-audio model of stable-audio-tools", inside
    # A LightningModule of ours holds its network as `model`.
    inner = _below(state, "model.")
    if any(key.startswith(_PARTS) for key in inner):
        return "zoo checkpoint, online weights", inner
    return "stable-audio-tools model", dict(state)


def _bare(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """`state` without what wrappers of torch put into its keys."""
    if not any(key.startswith(_WRAPPERS[0]) or _WRAPPERS[1] in key for key in state):
        return state
    names = {key.removeprefix(_WRAPPERS[0]).replace(_WRAPPERS[1], ""): key for key in state}
    return Renamed(state, names)


def _has(state: Mapping[str, Tensor], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in state)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What begins with `prefix`, without it. Reads nothing else."""
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
