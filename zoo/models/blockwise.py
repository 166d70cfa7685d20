"""The parts of an autoencoder as streams, and how much of them fits into memory at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zoo.models.block_stream import BlockStream, decoding_delay, encoding_delay
from zoo.models.chunking import finite
from zoo.models.memory import CPU_FAST_BYTES, frames_at_once, largest_result
from zoo.nets.bottlenecks.base import Bottleneck
from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.rows.network import RowNetwork
from zoo.nets.streams.build import stream
from zoo.nets.streams.stream import Chain, PadEnd, Pointwise, Stream


class Blockwise(nn.Module):
    """What an autoencoder offers for signals that come, or are best processed, in blocks."""

    encoder: nn.Module
    decoder: nn.Module
    bottleneck: Bottleneck | None
    pretransform: Pretransform | None
    latent_dim: int
    downsampling_ratio: int
    in_channels: int
    out_channels: int
    soft_clip: bool

    def __init__(self) -> None:
        super().__init__()
        # Of a side: bytes of the largest result for a frame, and the delay in samples.
        self._sizes: dict[str, tuple[int, int]] = {}

    def stream_encoder(self, **kwargs: Any) -> BlockStream:
        """Takes audio in blocks and gives the latents of `encode` as soon as they are determined.

        Args:
            **kwargs: for the bottleneck, which is called for each block by itself.

        Raises:
            NotImplementedError: for an encoder that sees all of the signal at once.
        """
        stream = self.encode_stream(**kwargs)
        delay = encoding_delay(stream, self.downsampling_ratio)
        return BlockStream(stream, self.latent_dim, delay)

    def stream_decoder(self, **kwargs: Any) -> BlockStream:
        """Takes latents in blocks and gives the audio of `decode` as soon as it is determined.

        Args and Raises: as `stream_encoder`, of the decoder.
        """
        stream = self.decode_stream(**kwargs)
        delay = decoding_delay(stream, self.downsampling_ratio)
        return BlockStream(stream, self.out_channels, delay)

    def encode_stream(self, skip_bottleneck: bool = False, **kwargs: Any) -> Stream:
        """A new stream from audio to latents, for one signal. Arguments as of `encode`."""
        parts: list[Stream] = [PadEnd(self.downsampling_ratio)]
        if self.pretransform is not None:
            parts.append(self.pretransform.encode_stream())
        parts.append(stream(self.encoder))
        if self.bottleneck is not None and not skip_bottleneck:
            parts.append(Pointwise(partial(self.bottleneck.encode, **kwargs)))
        return Chain(parts)

    def decode_stream(self, skip_bottleneck: bool = False, **kwargs: Any) -> Stream:
        """A new stream from latents to audio, for one signal. Arguments as of `decode`."""
        parts: list[Stream] = [stream(self.decoder)]
        if self.bottleneck is not None and not skip_bottleneck:
            parts.insert(0, Pointwise(partial(self.bottleneck.decode, **kwargs)))
        if self.pretransform is not None:
            parts.append(self.pretransform.decode_stream())
        return Chain([*parts, Pointwise(torch.tanh)] if self.soft_clip else parts)

    def frames_to_encode(self, batch: int = 1) -> int:
        """Latent frames that `batch` clips are encoded at a time, by the memory that is free."""
        if "encode" not in self._sizes:
            frame = self._zeros(self.in_channels, self.downsampling_ratio)
            made = finite(self.encode_stream)
            delay = 0 if made is None else encoding_delay(made, self.downsampling_ratio)
            self._sizes["encode"] = largest_result(self._encode, self, frame), delay
        return self._frames_at_once("encode", self.encoder, batch)

    def frames_to_decode(self, batch: int = 1) -> int:
        """Latent frames that `batch` clips are decoded at a time, by the memory that is free."""
        if "decode" not in self._sizes:
            noise = getattr(self.bottleneck, "noise_augment_dim", 0)
            frame = self._zeros(self.latent_dim + noise, 1)
            made = finite(self.decode_stream)
            delay = 0 if made is None else decoding_delay(made, self.downsampling_ratio)
            self._sizes["decode"] = largest_result(self._decode, self, frame), delay
        return self._frames_at_once("decode", self.decoder, batch)

    def _frames_at_once(self, side: str, network: nn.Module, batch: int) -> int:
        largest, delay = self._sizes[side]
        device = next(self.parameters()).device
        fast_bytes = network.block_bytes if isinstance(network, RowNetwork) else CPU_FAST_BYTES
        context = delay // self.downsampling_ratio
        return frames_at_once(batch * largest, context, device, fast_bytes)

    def _zeros(self, channels: int, length: int) -> Tensor:
        return next(self.parameters()).new_zeros(1, channels, length)

    def _encode(self, audio: Tensor) -> Tensor:
        raise NotImplementedError

    def _decode(self, latents: Tensor) -> Tensor:
        raise NotImplementedError
