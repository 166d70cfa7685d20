"""What is written beside latents: about the clip, its source and the model."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from zoo.checkpoints.download import digest
from zoo.inference.batch.writer import Source
from zoo.inference.latents import Latents
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck


def clip_facts(source: Source, latents: Latents) -> dict[str, Any]:
    """The json of a clip."""
    from zoo import __version__

    return {
        "name": source.name,
        "seconds": latents.seconds,
        "frames": latents.frames,
        "sample_rate": latents.sample_rate,
        "samples": latents.samples,
        "channels": latents.channels,
        "fingerprint": latents.fingerprint,
        "form": form_of(latents),
        "source": {
            "path": str(source.path),
            "size": source.size,
            "modified": source.modified,
            "content": source.content or digest(source.path),
        },
        "zoo_version": __version__,
    }


def form_of(latents: Latents) -> str:
    """What is kept of a clip, such as "posterior float16", "latents float32" or "tokens"."""
    if latents.tokens is not None:
        return "tokens"
    return _form(latents.std is not None, latents.values.dtype)


def form_for(model: Any, *, posterior: bool, half: bool) -> str:
    """The form of what a model will give."""
    if isinstance(getattr(model, "bottleneck", None), DiscreteBottleneck):
        return "tokens"
    return _form(posterior, torch.float16 if half else next(model.parameters()).dtype)


def _form(posterior: bool, dtype: torch.dtype) -> str:
    return f"{'posterior' if posterior else 'latents'} {str(dtype).removeprefix('torch.')}"


def model_facts(model: Any) -> dict[str, Any]:
    """What a manifest says of the model: rate in Hz, samples per frame, channels, config."""
    config: Any = getattr(model, "config", None)
    return {
        "sample_rate": model.sample_rate,
        "downsampling_ratio": model.downsampling_ratio,
        "latent_dim": model.latent_dim,
        "channels": model.io_channels,
        "config": config.to_dict() if hasattr(config, "to_dict") else config,
    }


def same_source(
    source: Source,
    path: str | None,
    size: int | None,
    modified: int | None,
    content: str | None,
) -> bool:
    """Whether latents made of a file with these facts are those of `source`.

    Path, size and time decide, and the content where those differ or `source.content` is set.
    """
    same = (str(source.path), source.size, source.modified) == (path, size, modified)
    if same and source.content is None:
        return True
    if source.size != size:
        return False
    try:
        return (source.content or digest(source.path)) == content
    except OSError:
        return False


def arrays(latents: Latents) -> dict[str, NDArray[Any]]:
    """The tensors that are kept; numpy has no bfloat16, so these become float32."""
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
        for name, tensor in latents.tensors().items()
    }
