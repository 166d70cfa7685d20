"""What may be decoded."""

from __future__ import annotations

from torch import Tensor


def check_latents(latents: Tensor, channels: int | None) -> None:
    """Raises: ValueError unless `latents` are (batch, `channels`, frames), none of them 0.

    Args:
        channels: None for any number.
    """
    wanted = f"(batch, {'channels' if channels is None else channels}, frames)"
    fits = latents.ndim == 3 and latents.numel() > 0
    if not fits or channels not in (None, latents.shape[1]):
        raise ValueError(f"latents have the shape {tuple(latents.shape)}, but must have {wanted}")
