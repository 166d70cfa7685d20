"""What every pretransform offers."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from zoo.nets.span import Span
from zoo.nets.streams.stream import Stream
from zoo.nets.streams.window import Window


class Pretransform(nn.Module):
    """A fixed change of the audio in front of the encoder, undone behind the decoder.

    Attributes:
        downsampling_ratio: audio samples per frame.
        io_channels: audio channels.
        encoded_channels: channels of a frame.
        enable_grad: whether its weights are trained. Gradients flow through it in any case.
    """

    downsampling_ratio: int
    encoded_channels: int
    is_discrete = False

    def __init__(self, io_channels: int) -> None:
        super().__init__()
        self.io_channels = io_channels
        self.enable_grad = False
        self.eval()

    def train(self, mode: bool = True) -> Self:
        # upstream: model.train() reaches into the pretransform.
        return super().train(False)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, io_channels, samples) → (batch, encoded_channels, frames)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """(batch, encoded_channels, frames) → (batch, io_channels, samples)."""
        raise NotImplementedError

    def tokenize(self, x: Tensor) -> Tensor:
        """(batch, io_channels, samples) → tokens (batch, quantizer, frame)."""
        raise TypeError(f"{type(self).__name__} has no tokens")

    def decode_tokens(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, quantizer, frame) → (batch, io_channels, samples)."""
        raise TypeError(f"{type(self).__name__} has no tokens")

    def encode_span(self, first: int, last: int) -> Span:
        """First and last sample that frames `first` … `last` depend on."""
        raise NotImplementedError

    def decode_span(self, first: int, last: int) -> Span:
        """First and last frame that samples `first` … `last` depend on."""
        raise NotImplementedError

    def encode_stream(self) -> Stream:
        """A new stream of `encode`."""
        first, last = self.encode_span(0, 0)
        ratio, mirrored = self.downsampling_ratio, max(-first, last)
        return Window(self.encode, self.encode_span, step_in=ratio, mirrored=mirrored)

    def decode_stream(self) -> Stream:
        """A new stream of `decode`."""
        ratio = self.downsampling_ratio
        first, last = self.decode_span(0, ratio - 1)
        return Window(self.decode, self.decode_span, step_out=ratio, mirrored=max(0, -first, last))
