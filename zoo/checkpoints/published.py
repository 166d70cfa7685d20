"""Weight files that others have published: where they are found, and what is in them.

Source: descript-audio-codec, dac/utils and dac/model; audiocraft, models/loaders and utils/export.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.download import cached
from zoo.checkpoints.files import AUDIOCRAFT_FILE
from zoo.checkpoints.torch_file import TorchTensors
from zoo.config.published import audiocraft_autoencoder, dac_autoencoder
from zoo.errors import CheckpointError

_DAC_FILES = {
    ("44khz", "8kbps"): ("0.0.1", "weights.pth"),
    ("24khz", "8kbps"): ("0.0.4", "weights_24khz.pth"),
    ("16khz", "8kbps"): ("0.0.5", "weights_16khz.pth"),
    ("44khz", "16kbps"): ("1.0.0", "weights_44khz_16kbps.pth"),
}
_DAC_RELEASES = "https://github.com/descriptinc/descript-audio-codec/releases/download"
# facebook/encodec_32khz has the same weights in another layout.
_AUDIOCRAFT_REPOSITORIES = {"facebook/encodec_32khz": "facebook/musicgen-small"}
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class PublishedAutoencoder:
    """A config in the form of stable-audio-tools, and the weights with its keys."""

    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]


def dac_file(model_type: str, model_bitrate: str) -> Path:
    """The weights of a Descript Audio Codec, downloaded if they are not there yet.

    They lie where the package `dac` keeps them. Raises: CheckpointError, with what to do.
    """
    tag, name = _DAC_FILES[model_type, model_bitrate]
    folder = Path.home() / ".cache" / "descript" / "dac"
    path = folder / f"weights_{model_type}_{model_bitrate}_{tag}.pth"
    url = f"{_DAC_RELEASES}/{tag}/{name}"
    return cached(url, path, f"the {model_type} {model_bitrate} codec")


def audiocraft_file(model_type: str) -> Path:
    """The weights of an EnCodec of audiocraft, from the hub or its cache on this machine.

    Args:
        model_type: a name of audiocraft, a repository on the hub, a file, or a folder with it.

    Raises: CheckpointError, with what to do.
    """
    from huggingface_hub import hf_hub_download

    local = Path(model_type)
    if local.exists():
        return local / AUDIOCRAFT_FILE if local.is_dir() else local
    repository = _AUDIOCRAFT_REPOSITORIES.get(model_type, model_type)
    try:
        return Path(hf_hub_download(repository, AUDIOCRAFT_FILE))
    except (OSError, ValueError) as error:
        command = f"hf download {repository} {AUDIOCRAFT_FILE}"
        raise CheckpointError(
            f"{model_type} can't be downloaded ({_reason(error)}); on a machine with a network, "
            f"run `{command}` and copy its cache here, to the folder that HF_HOME names"
        ) from None


def read_dac(path: Path) -> PublishedAutoencoder:
    """A file of the Descript Audio Codec. Raises: CheckpointError."""
    return parse_dac(TorchTensors(path), path)


def parse_dac(content: Mapping[str, Any], path: Path) -> PublishedAutoencoder:
    """What `read_dac` gives, from the content of the file. Raises: CheckpointError."""
    state, metadata = content.get("state_dict"), content.get("metadata")
    if not isinstance(state, Mapping) or not isinstance(metadata, Mapping):
        raise CheckpointError(f"{path}: not a Descript Audio Codec: no state_dict and metadata")
    sizes = metadata.get("kwargs")
    try:
        config = dac_autoencoder(sizes)  # type: ignore[arg-type]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: not a Descript Audio Codec: metadata.kwargs lacks {error}"
        ) from None
    weights: dict[str, Tensor] = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        weights[f"bottleneck.{key}" if part == "quantizer" else f"{part}.{part}.{rest}"] = value
    if "latent_dim" in config["model"]["encoder"]["config"]:
        _widen(weights, config["model"]["encoder"]["config"], path)
    return PublishedAutoencoder(config, weights)


def read_audiocraft(path: Path) -> PublishedAutoencoder:
    """A file that audiocraft has exported a compression model to. Raises: CheckpointError."""
    return parse_audiocraft(TorchTensors(path), path)


def parse_audiocraft(content: Mapping[str, Any], path: Path) -> PublishedAutoencoder:
    """What `read_audiocraft` gives, from the content of the file. Raises: CheckpointError."""
    import yaml

    if "pretrained" in content:
        raise CheckpointError(
            f"{path}: holds no weights, only the name of their model: {content['pretrained']}"
        )
    state, text = content.get("best_state"), content.get("xp.cfg")
    if not isinstance(state, Mapping) or not isinstance(text, str):
        raise CheckpointError(f"{path}: not a compression model: no best_state and xp.cfg")
    try:
        settings = yaml.safe_load(text)
        if settings["encodec"].get("renormalize"):
            raise ValueError("encodec.renormalize is true, which is not supported")
        sizes = {key: settings[key] for key in ("sample_rate", "seanet", "rvq")}
        config = audiocraft_autoencoder(_resolved(sizes, settings))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: not a compression model: xp.cfg: {reason}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    weights: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("quantizer.vq."):
            key, value = codebook(key, value)
        weights[key] = value
    return PublishedAutoencoder(config, weights)


def _widen(weights: dict[str, Tensor], encoder: Mapping[str, Any], path: Path) -> None:
    """Gives the last convolution the full width, and a projection that takes the rest away.

    The layout has no encoder that ends in fewer channels otherwise.
    """
    width = encoder["d_model"] * 2 ** len(encoder["strides"])
    last = f"encoder.encoder.block.{len(encoder['strides']) + 2}"
    latent = encoder["latent_dim"]
    if latent > width or f"{last}.weight_g" not in weights:
        raise CheckpointError(f"{path}: latent_dim {latent} is not supported")
    for name, filler in (("weight_g", 0.0), ("weight_v", 1.0), ("bias", 0.0)):
        given = weights[f"{last}.{name}"]
        rest = given.new_full((width - latent, *given.shape[1:]), filler)
        weights[f"{last}.{name}"] = torch.cat([given, rest])
    weights["encoder.proj_out.weight"] = torch.eye(latent, width)[..., None]
    weights["encoder.proj_out.bias"] = torch.zeros(latent)


def codebook(key: str, value: Tensor) -> tuple[str, Tensor]:
    """A buffer of encodec's codebooks as vector-quantize-pytorch has it."""
    key = key.replace("quantizer.vq.", "bottleneck.quantizer.", 1)
    if key.endswith(".inited"):
        return key.replace(".inited", ".initted"), value.reshape(()).bool()
    return key, value[None]


def _resolved(value: Any, settings: Mapping[str, Any]) -> Any:
    """`value` with its references, `${section.key}`, replaced."""
    if isinstance(value, Mapping):
        return {key: _resolved(item, settings) for key, item in value.items()}
    if isinstance(value, str) and (reference := _REFERENCE.fullmatch(value)):
        found: Any = settings
        for key in reference[1].split("."):
            found = found[key]
        return _resolved(found, settings)
    return value


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
