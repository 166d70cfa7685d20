"""Latents of one clip, and the file they are kept in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from zoo.errors import CheckpointError
from zoo.nets.bottlenecks.base import noise_like
from zoo.writing import write_whole

_VALUES, _STD, _TOKENS = "latents", "std", "tokens"
_DECIMALS = (torch.float32, torch.float16, torch.bfloat16)
_INTEGERS = (torch.int16, torch.int32, torch.int64)
_NUMBERS = ("sample_rate", "samples", "channels")


@dataclass(frozen=True)
class Latents:
    """What a model makes of one clip, with all that decoding needs.

    Attributes:
        values: (latent, frames), on the CPU; (0, frames) where a file held tokens alone.
        sample_rate: rate of the clip in Hz, before it was resampled for the model.
        samples: length of the clip at that rate.
        channels: channels of the clip.
        fingerprint: which weights made them; see `zoo.checkpoints.fingerprint`.
        std: (latent, frames), standard deviation of a VAE's posterior; `values` are its mean.
        tokens: (quantizer, frame), integers that a discrete model decodes exactly.
    """

    values: Tensor = field(repr=False)
    sample_rate: int
    samples: int
    channels: int
    fingerprint: str
    std: Tensor | None = field(default=None, repr=False)
    tokens: Tensor | None = field(default=None, repr=False)

    @property
    def frames(self) -> int:
        return self.values.shape[-1]

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    def tensors(self) -> dict[str, Tensor]:
        """What a file keeps, by name: `tokens`, else `latents` and, if known, `std`."""
        if self.tokens is not None:
            return {_TOKENS: self.tokens}
        return {_VALUES: self.values} | ({} if self.std is None else {_STD: self.std})

    def sample(self, generator: torch.Generator | None = None) -> Latents:
        """A draw from the posterior. Raises: CheckpointError without `std`."""
        if self.std is None:
            raise CheckpointError(
                "these latents have no standard deviation to draw with; encode with "
                "posterior=True (`zoo encode --posterior`)"
            )
        mean, std = self.values.float(), self.std.float()
        drawn = mean + std * noise_like(std, generator)
        return replace(self, values=drawn.to(self.values.dtype), std=None)

    def to(self, dtype: torch.dtype) -> Latents:
        """With `values` and `std` in another precision; tokens stay as they are.

        Raises:
            CheckpointError: for another type than float32, float16 and bfloat16, or values that
                float16 can't hold.
        """
        if dtype not in _DECIMALS:
            raise CheckpointError(f"latents are kept as float32, float16 or bfloat16, not {dtype}")
        values = self.values.to(dtype)
        if not torch.isfinite(values).all() and torch.isfinite(self.values).all():
            peak = float(self.values.abs().max())
            raise CheckpointError(
                f"the latents are as large as {peak:.6g}, which float16 can't hold; keep float32, "
                "or bfloat16 at less precision"
            )
        return replace(self, values=values, std=None if self.std is None else self.std.to(dtype))

    def save(self, path: str | Path) -> None:
        """Writes a .safetensors file, whole or not at all; of a discrete model, the tokens alone.

        Raises: CheckpointError.
        """
        path = Path(path)
        try:
            write_whole(path, self.serialized())
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from None

    def serialized(self, **more: str) -> bytes:
        """The content of the file, with `more` facts in its metadata."""
        from zoo import __version__

        metadata = {key: str(getattr(self, key)) for key in _NUMBERS}
        metadata |= {"fingerprint": self.fingerprint, "zoo_version": __version__, **more}
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors().items()}
        return save(tensors, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> Latents:
        """Reads a file that `save` wrote. Raises: CheckpointError."""
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                facts = file.metadata() or {}
            numbers = {key: int(facts[key]) for key in _NUMBERS}
            return cls.of_tensors(tensors, **numbers, fingerprint=facts["fingerprint"])
        except (SafetensorError, KeyError, ValueError, OSError):
            raise CheckpointError(
                f"{path}: not a latent file of zoo, or truncated; make one with `zoo encode`"
            ) from None

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor], **facts: Any) -> Latents:
        """What `tensors` gives, with the other attributes. Raises: KeyError, ValueError."""
        values, std, tokens = _checked(tensors)
        if min(facts[key] for key in _NUMBERS) < 1:
            raise ValueError
        return cls(values, **facts, std=std, tokens=tokens)


def _checked(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Raises: KeyError, ValueError."""
    std, tokens = tensors.get(_STD), tensors.get(_TOKENS)
    if tokens is not None and tokens.ndim == 2 and tokens.dtype in _INTEGERS:
        values = tensors.get(_VALUES, torch.empty(0, tokens.shape[-1]))
    else:
        values, tokens = tensors[_VALUES], None
    if values.ndim != 2 or values.dtype not in _DECIMALS:
        raise ValueError
    if std is not None and (std.shape != values.shape or std.dtype not in _DECIMALS):
        raise ValueError
    return values, std, tokens
