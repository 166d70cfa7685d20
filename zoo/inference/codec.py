"""Audio of any rate, channels and length to latents and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.fingerprint import fingerprint
from zoo.data.files import Audio, probe, read_audio, write_audio
from zoo.data.resample import fit_channels, resample
from zoo.errors import CheckpointError
from zoo.inference.clips import checked_clip, checked_rate
from zoo.inference.encoded import Encoded, check_posterior, encoded, fitted
from zoo.inference.fast import fast as fast_model
from zoo.inference.latents import Latents
from zoo.inference.long_files import decode_file, encode_file
from zoo.inference.similar import side_by_side
from zoo.inference.streams import StreamDecoder, StreamEncoder
from zoo.load import placed
from zoo.models.chunking import finite
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder


class Codec:
    """Encodes and decodes clips with a model, ours or upstream's.

    Args:
        model: an autoencoder; it is put into eval mode.
        device: `"auto"` is a GPU if there is one.
        fast: run `zoo.fast(model)`, which gives the same, sooner.
        compiled: as of `zoo.fast`.

    Attributes:
        model: the model given.
        network: what is run.
    """

    def __init__(
        self,
        model: Any,
        device: str | torch.device = "auto",
        fast: bool = True,
        compiled: bool = False,
    ) -> None:
        self.model = placed(model.eval(), device)
        self.network = fast_model(self.model, compiled) if fast else self.model

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
        sample_rate: float | None = None,
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
            info = probe(audio)
            if self._streams_encoding and info.seconds > self._seconds(
                self.network.frames_to_encode()
            ):
                return encode_file(self, audio, info, posterior)
            audio = read_audio(audio)
        if isinstance(audio, Audio):
            audio, sample_rate = audio.values, audio.sample_rate
        rate = self.model.sample_rate if sample_rate is None else checked_rate(sample_rate)
        clip = checked_clip(audio)
        fits = fitted(clip.to(self.device), rate, self.model)
        (made,) = self.encode_batch([fits], posterior=posterior)
        return made.of_one_clip(rate, clip.shape[-1], clip.shape[0], self.fingerprint)

    @torch.inference_mode()
    def encode_batch(self, clips: Sequence[Tensor], *, posterior: bool = False) -> list[Encoded]:
        """Clips that fit the model to latents, each a batch of one, and each as if it were alone.

        Args:
            clips: (in_channels, samples) at the model's rate, whole frames. Of one length, or each
                of as many frames as both parts of `model.encoder_context` together.
            posterior: as of `encode`.

        Raises:
            CheckpointError: for the posterior of a model that has none.
            NotImplementedError: for several lengths and a model that sees all of the signal.
        """
        clips = [clip.to(self.device, self._dtype) for clip in clips]
        model = self.model
        if len({clip.shape[-1] for clip in clips}) == 1:
            return encoded(model, torch.stack(clips), posterior, encode=self._encode).split()
        network = partial(self._encode, skip_bottleneck=True)
        units = (model.downsampling_ratio, 1)
        whole = side_by_side(network, clips, model.encoder_context, units)
        through = model.through_bottleneck
        return [encoded(model, values[None], posterior, encode=through) for values in whole]

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
        self._check(latents)
        values, options = self.decoder_input(latents, options)
        return self._as_it_was(self._decode(values[None], **options)[0], latents)

    @torch.inference_mode()
    def decode_batch(self, latents: Sequence[Latents], **options: Any) -> list[Tensor]:
        """What `decode` gives for each of several latents, all with tokens or all without.

        They have the same number of frames, or each as many as both parts of
        `model.decoder_context` together. A diffusion decoder takes them one by one, as each clip
        has noise of its own.

        Raises:
            CheckpointError: for latents of another model.
            NotImplementedError: for several lengths and a model that sees all of the latents.
        """
        if len(latents) == 1 or isinstance(self.model, DiffusionAutoencoder):
            return [self.decode(clip, **options) for clip in latents]
        for clip in latents:
            self._check(clip)
        inputs = [self.decoder_input(clip, options) for clip in latents]
        values = [each for each, _ in inputs]
        network = partial(self._decode, **inputs[0][1])
        if len({each.shape[-1] for each in values}) == 1:
            audio: Sequence[Tensor] = network(torch.stack(values)).unbind()
        else:
            units = (1, self.model.downsampling_ratio)
            audio = side_by_side(network, values, self.model.decoder_context, units)
        return [self._as_it_was(one, clip) for one, clip in zip(audio, latents, strict=True)]

    def decode_file(self, latents: Latents, path: str | Path, **options: Any) -> None:
        """Writes what `decode` gives to a .wav or .flac file; memory is flat in the length.

        Args:
            **options: as of `decode`.

        Raises:
            AudioError: the file cannot be written.
            CheckpointError: for latents of another model.
        """
        self._check(latents)
        if not self._streams_decoding:
            write_audio(path, self.decode(latents, **options), latents.sample_rate)
        else:
            decode_file(self, latents, path)

    def stream_encoder(
        self, sample_rate: float | None = None, channels: int | None = None
    ) -> StreamEncoder:
        """Takes audio in blocks and gives the latents of `encode` as soon as they are determined.

        Args:
            sample_rate: of the blocks in Hz; by default the model's.
            channels: of the blocks; by default the model's.

        Raises:
            NotImplementedError: for a model that sees all of the signal at once.
        """
        if not hasattr(self.model, "encode_stream"):
            raise NotImplementedError(f"{type(self.model).__name__} has no streams")
        rate = self.model.sample_rate if sample_rate is None else checked_rate(sample_rate)
        return StreamEncoder(self.network, rate, channels or self.model.in_channels)

    def stream_decoder(
        self,
        sample_rate: float | None = None,
        channels: int | None = None,
        samples: int | None = None,
    ) -> StreamDecoder:
        """Takes latents in blocks and gives the audio of `decode` as soon as it is determined.

        Args:
            sample_rate: of the audio in Hz; by default the model's.
            channels: of the audio; by default the model's.
            samples: length of the audio; by default that of all frames.

        Raises:
            NotImplementedError: for a model that sees all of the latents at once.
        """
        if not hasattr(self.model, "decode_stream"):
            raise NotImplementedError(f"{type(self.model).__name__} has no streams")
        rate = self.model.sample_rate if sample_rate is None else checked_rate(sample_rate)
        return StreamDecoder(self.network, rate, channels or self.model.out_channels, samples)

    def _as_it_was(self, audio: Tensor, latents: Latents) -> Tensor:
        """The decoder's output with rate, length and channels of the clip, on the CPU."""
        audio = resample(audio.float(), self.model.sample_rate, latents.sample_rate)
        return fit_channels(_trimmed(audio, latents.samples), latents.channels).cpu()

    def _check(self, latents: Any) -> None:
        """Raises: TypeError, CheckpointError."""
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

    @cached_property
    def _streams_encoding(self) -> bool:
        model = self.model
        return hasattr(model, "encode_stream") and finite(model.encode_stream) is not None

    @cached_property
    def _streams_decoding(self) -> bool:
        model = self.model
        return hasattr(model, "decode_stream") and finite(model.decode_stream) is not None

    def decoder_input(
        self, latents: Latents, options: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Any]]:
        """(latent, frames) on the model's device, and how the model's `decode` takes them."""
        if latents.tokens is None or latents.values.numel():
            return latents.values.to(self.device, self._dtype), options
        tokens = latents.tokens.to(self.device, torch.int64)
        values = self.model.bottleneck.decode_tokens(tokens[None])[0]
        return values, {**options, "skip_bottleneck": True}

    def _encode(self, audio: Tensor, **options: Any) -> Any:
        if self._streams_encoding:
            return self.network.encode_audio(audio, chunked=True, **options)
        return self.network.encode(audio, **options)

    def _decode(self, latents: Tensor, **options: Any) -> Tensor:
        if self._streams_decoding:
            return self.network.decode_audio(latents, chunked=True, **options)
        return self.network.decode(latents, **options)

    def _seconds(self, frames: int) -> float:
        return frames * self.model.downsampling_ratio / self.model.sample_rate

    def reconstruct(
        self,
        audio: Tensor | Audio | str | Path,
        sample_rate: float | None = None,
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
