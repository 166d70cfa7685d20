"""Encoder, bottleneck, decoder and pretransform as one model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.data.resample import fit_channels, resample
from zoo.models.blockwise import Blockwise
from zoo.models.chunking import in_chunks, one_by_one
from zoo.models.latents import check_latents
from zoo.nets.bottlenecks.base import Bottleneck
from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span, input_span


class AudioAutoencoder(Blockwise):
    """An audio autoencoder with the calls and state-dict keys of stable-audio-tools.

    Audio is (batch, channels, samples) at `sample_rate` Hz, latents are (batch, latent_dim,
    frames) with frames = ⌈samples / downsampling_ratio⌉; decoding gives frames · ratio samples.

    Attributes:
        config: the config it was built from, or None; set by the factory, not read here.
        loaded: the report for the keys of the file that its weights are from, or None; set by what
            loads them, not read here.

    Source: stable_audio_tools/models/autoencoders.py.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        downsampling_ratio: int,
        sample_rate: int,
        io_channels: int = 2,
        bottleneck: Bottleneck | None = None,
        pretransform: Pretransform | None = None,
        in_channels: int | None = None,
        out_channels: int | None = None,
        soft_clip: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.bottleneck = bottleneck
        self.pretransform = pretransform
        self.latent_dim = latent_dim
        self.downsampling_ratio = self.min_length = downsampling_ratio
        self.sample_rate = sample_rate
        self.io_channels = io_channels
        self.in_channels = in_channels or io_channels
        self.out_channels = out_channels or io_channels
        self.soft_clip = soft_clip
        self.is_discrete = bottleneck is not None and bottleneck.is_discrete
        self.config: Any = None
        self.loaded: Any = None

    def encode(
        self,
        audio: Tensor,
        skip_bottleneck: bool = False,
        return_info: bool = False,
        skip_pretransform: bool = False,
        iterate_batch: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Audio (batch, in_channels, samples) → latents (batch, latent_dim, frames).

        Args:
            skip_bottleneck: give the encoder's output as it is.
            return_info: also give the bottleneck's losses and `pre_bottleneck_latents`.
            skip_pretransform: `audio` has been through the pretransform already.
            iterate_batch: one clip at a time, for less memory.
            **kwargs: for the bottleneck, such as `sample` and `generator` of a VAE.
        """

        def network(x: Tensor) -> Tensor:
            return self._encode(x, skip_pretransform)

        encoded = one_by_one(network, audio) if iterate_batch else network(audio)
        return self.through_bottleneck(encoded, skip_bottleneck, return_info, **kwargs)

    def decode(
        self,
        latents: Tensor,
        skip_bottleneck: bool = False,
        iterate_batch: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        """Latents (batch, latent_dim, frames) → audio (batch, out_channels, frames · ratio).

        Args:
            skip_bottleneck: `latents` are the decoder's input already.
            iterate_batch: one clip at a time, for less memory.
            **kwargs: for the bottleneck.
        """
        check_latents(latents, None if skip_bottleneck else self.latent_dim)
        if self.bottleneck is not None and not skip_bottleneck:
            latents = self.bottleneck.decode(latents, **kwargs)
        return one_by_one(self._decode, latents) if iterate_batch else self._decode(latents)

    def decode_tokens(self, tokens: Tensor, **kwargs: Any) -> Tensor:
        """Tokens (batch, quantizer, frame) → audio. Raises: TypeError without discrete latents."""
        if self.bottleneck is None or not self.bottleneck.is_discrete:
            raise TypeError("decode_tokens needs a model with a discrete bottleneck")
        return self._decode(self.bottleneck.decode_tokens(tokens, **kwargs))

    def encode_audio(
        self,
        audio: Tensor,
        chunked: bool = False,
        overlap: int | None = None,
        chunk_size: int | None = None,
        skip_bottleneck: bool = False,
        return_info: bool = False,
        iterate_batch: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As `encode`; `chunked` runs the network over `chunk_size` frames at a time.

        Every layer keeps what it needs of the frames before, so that the result is that of
        `encode` and nothing is computed twice. A network that sees all of the signal at once, such
        as one with global attention, runs over the whole all the same.

        Args:
            overlap: taken for the sake of older calls; chunks see all that they need in any case.
            chunk_size: latent frames, at least 1; by default a number that fits into memory.
        """
        network = self._encode
        if chunked:
            network = partial(
                in_chunks,
                self._encode,
                partial(self.encode_stream, skip_bottleneck=True),
                unit=self.downsampling_ratio,
                chunk_size=self.frames_to_encode(len(audio)) if chunk_size is None else chunk_size,
            )
        encoded = one_by_one(network, audio) if iterate_batch else network(audio)
        return self.through_bottleneck(encoded, skip_bottleneck, return_info, **kwargs)

    def decode_audio(
        self,
        latents: Tensor,
        chunked: bool = False,
        overlap: int | None = None,
        chunk_size: int | None = None,
        skip_bottleneck: bool = False,
        iterate_batch: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        """As `decode`; `chunked`, `overlap` and `chunk_size` as in `encode_audio`."""
        check_latents(latents, None if skip_bottleneck else self.latent_dim)
        network = self._decode
        if chunked:
            network = partial(
                in_chunks,
                self._decode,
                partial(self.decode_stream, skip_bottleneck=True),
                unit=1,
                chunk_size=self.frames_to_decode(len(latents))
                if chunk_size is None
                else chunk_size,
            )
        if self.bottleneck is not None and not skip_bottleneck:
            latents = self.bottleneck.decode(latents, **kwargs)
        return one_by_one(network, latents) if iterate_batch else network(latents)

    def encode_span(self, first: int, last: int) -> Span:
        """First and last audio sample that latent frames `first` … `last` depend on."""
        span = input_span(self.encoder, first, last)
        return span if self.pretransform is None else self.pretransform.encode_span(*span)

    def decode_span(self, first: int, last: int) -> Span:
        """First and last latent frame that audio samples `first` … `last` depend on."""
        if self.pretransform is not None:
            first, last = self.pretransform.decode_span(first, last)
        return input_span(self.decoder, first, last)

    @property
    def encoder_context(self) -> tuple[int, int]:
        """Latent frames before and after a frame whose audio the encoder sees for it.

        Raises: NotImplementedError for an encoder that sees all of it.
        """
        first, last = self.encode_span(0, 0)
        return max(0, -(first // self.downsampling_ratio)), max(0, last // self.downsampling_ratio)

    @property
    def decoder_context(self) -> tuple[int, int]:
        """Latent frames before and after a frame that the decoder sees for its audio.

        Raises: NotImplementedError for a decoder that sees all of them.
        """
        first, last = self.decode_span(0, self.downsampling_ratio - 1)
        return max(0, -first), max(0, last)

    def preprocess_audio_for_encoder(self, audio: Tensor, in_sr: int) -> Tensor:
        """One clip (channels, samples) at `in_sr` Hz as a batch of one that fits the encoder."""
        return self.preprocess_audio_list_for_encoder([audio], [in_sr])

    def preprocess_audio_list_for_encoder(
        self, audio_list: Sequence[Tensor], in_sr_list: int | Sequence[int]
    ) -> Tensor:
        """Clips of any rate, channels and length as one batch that fits the encoder.

        Args:
            audio_list: clips (channels, samples), (samples) or (1, channels, samples).
            in_sr_list: the rate of all clips in Hz, or one for each.

        Returns:
            (batch, in_channels, samples): resampled, channels mixed down or repeated, padded
            with zeros to the longest clip and on to a multiple of `min_length`.
        """
        if not isinstance(in_sr_list, Sequence):
            in_sr_list = [int(in_sr_list)] * len(audio_list)
        if not audio_list or len(audio_list) != len(in_sr_list):
            raise ValueError(f"{len(audio_list)} clips and {len(in_sr_list)} sample rates")
        clips = [
            fit_channels(resample(_clip(audio), int(rate), self.sample_rate), self.in_channels)
            for audio, rate in zip(audio_list, in_sr_list, strict=True)
        ]
        longest = max(clip.shape[-1] for clip in clips)
        length = longest + -longest % self.min_length
        return torch.stack([F.pad(clip, (0, length - clip.shape[-1])) for clip in clips])

    def forward(self, audio: Tensor) -> Tensor:
        """Encode and decode: (batch, in_channels, samples) → (batch, out_channels, samples)."""
        return self.decode(self.encode(audio))[..., : audio.shape[-1]]

    def _encode(self, audio: Tensor, skip_pretransform: bool = False) -> Tensor:
        ratio = self.downsampling_ratio
        if self.pretransform is not None and skip_pretransform:
            ratio //= self.pretransform.downsampling_ratio
        audio = F.pad(audio, (0, -audio.shape[-1] % ratio))
        # upstream: runs the pretransform under no_grad, so the decoder behind it never learns.
        if self.pretransform is not None and not skip_pretransform:
            audio = self.pretransform.encode(audio)
        return self.encoder(audio)

    def _decode(self, latents: Tensor) -> Tensor:
        audio = self.decoder(latents)
        if self.pretransform is not None:
            audio = self.pretransform.decode(audio)
        return audio.tanh() if self.soft_clip else audio

    def through_bottleneck(
        self,
        encoded: Tensor,
        skip_bottleneck: bool = False,
        return_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """What `encode` gives for the encoder's output `encoded`; arguments as there."""
        info: dict[str, Any] = {"pre_bottleneck_latents": encoded}
        if self.bottleneck is None or skip_bottleneck:
            return (encoded, info) if return_info else encoded
        if not return_info:
            return self.bottleneck.encode(encoded, **kwargs)
        latents, facts = self.bottleneck.encode(encoded, return_info=True, **kwargs)
        return latents, info | facts


def _clip(audio: Tensor) -> Tensor:
    if audio.ndim == 3 and audio.shape[0] == 1:
        return audio[0]
    if audio.ndim == 1:
        return audio[None]
    if audio.ndim != 2:
        raise ValueError(f"a clip is (channels, samples), not {tuple(audio.shape)}")
    return audio
