"""What every pretransform offers."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from zoo.nets.span import Span


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
