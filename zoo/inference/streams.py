"""Audio that comes in blocks to latents, and latents to audio in blocks."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo.data.resample import fit_channels, reach, resample_stream
from zoo.errors import AudioError, ZooError
from zoo.models.block_stream import decoding_delay, encoding_delay
from zoo.nets.streams.stream import Chain, Pointwise, Stream, joined


class _CodecStream:
    """Blocks in order, until `flush`."""

    _error: type[ZooError]

    def __init__(self, stream: Stream, model: Any, channels: int, results: int) -> None:
        weight = next(model.parameters())
        self._stream, self._device, self._dtype = stream, weight.device, weight.dtype
        self._channels, self._results = channels, results
        self._taken, self._ended = 0, False

    @torch.inference_mode()
    def push(self, block: Any) -> Tensor:
        """Takes the next block and gives what it determines, on the CPU; often of length 0."""
        self._check_open()
        x = self._checked(block)
        self._taken += x.shape[-1]
        return self._result(x[None].to(self._device) if x.shape[-1] else None, last=False)

    @torch.inference_mode()
    def flush(self) -> Tensor:
        """Ends the signal and gives the rest. The stream takes nothing afterwards."""
        self._check_open()
        if self._taken == 0:
            raise self._error("nothing was pushed: there is nothing to flush")
        self._ended = True
        return self._result(None, last=True)

    def _result(self, x: Tensor | None, last: bool) -> Tensor:
        y = self._stream.advance(x, last)
        return torch.zeros(self._results, 0, dtype=self._kind) if y is None else y[0].cpu()

    def _check_open(self) -> None:
        if self._ended:
            raise self._error("the stream was flushed; make a new one for the next signal")

    @property
    def _kind(self) -> torch.dtype:
        raise NotImplementedError

    def _checked(self, block: Any) -> Tensor:
        raise NotImplementedError


class StreamEncoder(_CodecStream):
    """What `Codec.encode` does, for audio that comes in blocks.

    `push` takes (channels, samples), any number of samples, and gives latents (latent, frames);
    those of all calls and of `flush` together are `Codec.encode(…).values`.

    Args:
        model: an autoencoder that has streams, in eval mode.
        sample_rate: of the blocks, in Hz.
        channels: of the blocks.
        skip_bottleneck: give the encoder's output as it is.

    Attributes:
        delay: a frame is given once so many samples behind its own have come.

    Raises:
        NotImplementedError: for a model that sees all of the signal at once.
    """

    _error = AudioError

    def __init__(
        self, model: Any, sample_rate: int, channels: int, skip_bottleneck: bool = False
    ) -> None:
        encoding = model.encode_stream(skip_bottleneck=skip_bottleneck)
        delay = encoding_delay(encoding, model.downsampling_ratio)
        fit = partial(fit_channels, channels=model.in_channels)
        first = resample_stream(sample_rate, model.sample_rate)
        parts = [first, Pointwise(fit), Pointwise(lambda x: x.to(self._dtype)), encoding]
        super().__init__(Chain(parts), model, channels, model.latent_dim)
        self.sample_rate = sample_rate
        self.delay = _carried(delay, model.sample_rate, sample_rate, resampled_first=True)

    @property
    def samples(self) -> int:
        """How many samples have come."""
        return self._taken

    @property
    def _kind(self) -> torch.dtype:
        return self._dtype

    def _checked(self, block: Any) -> Tensor:
        x = torch.as_tensor(block)
        x = x[None] if x.ndim == 1 else x
        if not x.is_floating_point():
            raise AudioError(f"samples are decimals between -1 and 1, not {x.dtype}")
        if x.ndim != 2 or x.shape[0] != self._channels:
            raise AudioError(
                f"the block has the shape {tuple(x.shape)}, but this stream takes "
                f"(channels, samples) with {self._channels} channels"
            )
        if not torch.isfinite(x).all():
            raise AudioError("the block has NaN or infinite samples")
        return x.float()


class StreamDecoder(_CodecStream):
    """What `Codec.decode` does, for latents that come in blocks.

    `push` takes (latent, frames), any number of frames, and gives audio (channels, samples); that
    of all calls and of `flush` together is `Codec.decode(…)`.

    Args:
        model: an autoencoder that has streams, in eval mode.
        sample_rate: of the audio wanted, in Hz.
        channels: of the audio wanted.
        samples: length of the audio wanted; by default that of all frames.
        skip_bottleneck: the blocks are the decoder's input already.

    Attributes:
        delay: so many samples, at most, of the frames that have come are still to be given.

    Raises:
        NotImplementedError: for a model that sees all of the latents at once.
    """

    _error = AudioError

    def __init__(
        self,
        model: Any,
        sample_rate: int,
        channels: int,
        samples: int | None = None,
        skip_bottleneck: bool = False,
    ) -> None:
        decoding = model.decode_stream(skip_bottleneck=skip_bottleneck)
        delay = decoding_delay(decoding, model.downsampling_ratio)
        parts = [
            Pointwise(lambda z: z.to(self._dtype)),
            decoding,
            Pointwise(torch.Tensor.float),
            resample_stream(model.sample_rate, sample_rate),
            *([] if samples is None else [_Exactly(samples)]),
            Pointwise(partial(fit_channels, channels=channels)),
        ]
        super().__init__(Chain(parts), model, model.latent_dim, channels)
        self.sample_rate = sample_rate
        self.delay = _carried(delay, model.sample_rate, sample_rate, resampled_first=False)

    @property
    def frames(self) -> int:
        """How many latent frames have come."""
        return self._taken

    @property
    def _kind(self) -> torch.dtype:
        return torch.float32

    def _checked(self, block: Any) -> Tensor:
        x = torch.as_tensor(block)
        if x.ndim != 2 or x.shape[0] != self._channels or not x.is_floating_point():
            raise AudioError(
                f"the block has the shape {tuple(x.shape)} and holds {x.dtype}, but this stream "
                f"takes latents (latent, frames), {self._channels} decimals in each frame"
            )
        if not torch.isfinite(x).all():
            raise AudioError("the block has NaN or infinite latents")
        return x


class _Exactly(Stream):
    """The signal cut, or continued with zeros, to a length that is known before."""

    def __init__(self, samples: int) -> None:
        self.samples, self._given = samples, 0
        self._like: Tensor | None = None

    def needs(self, output: int) -> int:
        return output

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        if x is not None:
            self._like = x[..., :0].clone()
            x = x[..., : self.samples - self._given]
            self._given += x.shape[-1]
        missing = self.samples - self._given
        if last and missing and self._like is not None:
            x = joined(x, self._like.new_zeros(*self._like.shape[:-1], missing))
        return x if x is not None and x.shape[-1] else None


def _carried(delay: int, model_rate: int, rate: int, *, resampled_first: bool) -> int:
    """A delay of the model, in its samples, as one of the audio before or after resampling."""
    if model_rate == rate:
        return delay
    if resampled_first:
        return math.ceil(delay * rate / model_rate) + reach(rate, model_rate) + 1
    return math.ceil((delay + reach(model_rate, rate)) * rate / model_rate) + 1
