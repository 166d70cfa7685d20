"""Audio of any rate, channels and length to latents and back."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.fingerprint import fingerprint
from zoo.data.files import Audio, read_audio
from zoo.data.resample import fit_channels, resample
from zoo.errors import AudioError, CheckpointError
from zoo.inference.encoded import check_posterior, encoded
from zoo.inference.latents import Latents
from zoo.load import placed


class Codec:
    """Encodes and decodes clips with a model, ours or upstream's.

    Args:
        model: an autoencoder; it is put into eval mode.
        device: `"auto"` is a GPU if there is one.
    """

    def __init__(self, model: Any, device: str | torch.device = "auto") -> None:
        self.model = placed(model.eval(), device)

    @cached_property
    def fingerprint(self) -> str:
        """Which weights this codec has."""
        return fingerprint(self.model)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype

    @torch.inference_mode()
    def encode(
        self,
        audio: Tensor | Audio | str | Path,
        sample_rate: int | None = None,
        *,
        posterior: bool = False,
    ) -> Latents:
        """One clip to latents.

        Args:
            audio: (channels, samples) or (samples), a tensor or array of decimals, at least one
                sample; or what `zoo.read_audio` gives, or the path of a file.
            sample_rate: in Hz; by default that of `audio`, or of the model for a tensor.
            posterior: keep the standard deviation of a VAE too, as `std`.

        Raises:
            AudioError: for empty audio, NaN or infinite samples.
            CheckpointError: for the posterior of a model that has none.
        """
        if posterior:
            check_posterior(self.model)
        if isinstance(audio, str | Path):
            audio = read_audio(audio)
        if isinstance(audio, Audio):
            audio, sample_rate = audio.values, audio.sample_rate
        rate = self.model.sample_rate if sample_rate is None else sample_rate
        if rate < 1:
            raise AudioError(f"the sample rate is {rate} Hz, but must be at least 1")
        clip = _checked(audio)
        fitted = fit_channels(
            resample(clip.to(self.device), rate, self.model.sample_rate), self.model.in_channels
        )
        ratio = self.model.downsampling_ratio
        padded = torch.nn.functional.pad(fitted, (0, -fitted.shape[-1] % ratio))
        made = encoded(self.model, padded[None].to(self._dtype), posterior)
        return Latents(
            made.values[0].cpu(),
            rate,
            clip.shape[-1],
            clip.shape[0],
            self.fingerprint,
            std=None if made.std is None else made.std[0].cpu(),
            tokens=None if made.tokens is None else made.tokens[0].cpu(),
        )

    @torch.inference_mode()
    def decode(self, latents: Latents, **options: Any) -> Tensor:
        """Latents to audio (channels, samples) as the clip had them, on the CPU.

        Args:
            **options: of the model's `decode`: for a diffusion autoencoder `steps`, `sampler`,
                `seed` and others.

        Raises:
            CheckpointError: for latents of another model.
            TypeError: for anything but Latents.
        """
        if not isinstance(latents, Latents):
            raise TypeError(
                f"decode takes the Latents that encode gives, not a {type(latents).__name__}; "
                "for tensors there is codec.model.decode"
            )
        if latents.fingerprint != self.fingerprint:
            raise CheckpointError(
                f"these latents come from a model with the fingerprint {latents.fingerprint}, "
                f"but this one has {self.fingerprint}; decode them with the model that made them"
            )
        if latents.tokens is not None and not latents.values.numel():
            tokens = latents.tokens.to(self.device, torch.int64)
            audio = self.model.decode_tokens(tokens[None], **options)[0].float()
        else:
            values = latents.values.to(self.device, self._dtype)
            audio = self.model.decode(values[None], **options)[0].float()
        audio = resample(audio, self.model.sample_rate, latents.sample_rate)
        audio = _trimmed(audio, latents.samples)
        return fit_channels(audio, latents.channels).cpu()

    def reconstruct(
        self,
        audio: Tensor | Audio | str | Path,
        sample_rate: int | None = None,
        **options: Any,
    ) -> Tensor:
        """Encodes and decodes one clip: (channels, samples), as long as it was.

        Args:
            **options: as of `decode`.
        """
        return self.decode(self.encode(audio, sample_rate), **options)


def _trimmed(audio: Tensor, samples: int) -> Tensor:
    """Exactly `samples` long; rounding in two resamplings may lack a sample."""
    return torch.nn.functional.pad(audio, (0, max(0, samples - audio.shape[-1])))[..., :samples]


def _checked(audio: Any) -> Tensor:
    audio = torch.as_tensor(audio)
    clip = audio[None] if audio.ndim == 1 else audio
    if not clip.is_floating_point():
        raise AudioError(f"samples are decimals between -1 and 1, not {clip.dtype}")
    if clip.ndim != 2 or clip.numel() == 0:
        raise AudioError(f"a clip is (channels, samples), not {tuple(audio.shape)}")
    if not torch.isfinite(clip).all():
        raise AudioError("the audio has NaN or infinite samples")
    return clip.float()
