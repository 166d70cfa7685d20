"""Latents of one clip, and the file they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from zoo.errors import CheckpointError
from zoo.writing import write_whole

_TENSOR = "latents"
_TYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Latents:
    """What a model makes of one clip, with all that decoding needs.

    Attributes:
        values: (latent, frames), on the CPU.
        sample_rate: rate of the clip in Hz, before it was resampled for the model.
        samples: length of the clip at that rate.
        channels: channels of the clip.
        fingerprint: which weights made them; see `zoo.checkpoints.fingerprint`.
    """

    values: Tensor
    sample_rate: int
    samples: int
    channels: int
    fingerprint: str

    def save(self, path: str | Path) -> None:
        """Writes a .safetensors file, whole or not at all. Raises: CheckpointError."""
        from zoo import __version__

        path = Path(path)
        metadata = {
            "sample_rate": str(self.sample_rate),
            "samples": str(self.samples),
            "channels": str(self.channels),
            "fingerprint": self.fingerprint,
            "zoo_version": __version__,
        }
        content = save({_TENSOR: self.values.contiguous()}, metadata=metadata)
        try:
            write_whole(path, content)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: str | Path) -> Latents:
        """Reads a file that `save` wrote. Raises: CheckpointError."""
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        try:
            with safe_open(path, framework="pt") as file:
                values = file.get_tensor(_TENSOR)
                facts = file.metadata() or {}
            numbers = [int(facts[key]) for key in ("sample_rate", "samples", "channels")]
            if values.ndim != 2 or values.dtype not in _TYPES or min(numbers) < 1:
                raise ValueError
            return cls(values, *numbers, fingerprint=facts["fingerprint"])
        except (SafetensorError, KeyError, ValueError, OSError):
            raise CheckpointError(
                f"{path}: not a latent file of zoo, or truncated; make one with `zoo encode`"
            ) from None
