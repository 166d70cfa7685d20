"""An autoencoder in front of another network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor

from zoo.models.autoencoder import AudioAutoencoder
from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span
from zoo.nets.streams.stream import Chain, Pointwise, Stream

_PREFIX = "model."
_CHUNK_FRAMES = 128


class AutoencoderPretransform(Pretransform):
    """The latents of an autoencoder, divided by `scale`.

    Args:
        model: the autoencoder; it stays in eval mode.
        scale: brings the latents to the level that the network behind expects.
        model_half: compute the autoencoder in float16.
        iterate_batch: one clip at a time, for less memory.
        chunked: in chunks of 128 latent frames, for less memory; the result is the same.

    Source: stable_audio_tools/models/pretransforms.py.
    """

    def __init__(
        self,
        model: AudioAutoencoder,
        scale: float = 1.0,
        model_half: bool = False,
        iterate_batch: bool = False,
        chunked: bool = False,
    ) -> None:
        super().__init__(io_channels=model.io_channels)
        self.model = model.eval()
        self.scale, self.model_half = scale, model_half
        self.iterate_batch, self.chunked = iterate_batch, chunked
        self.sample_rate = model.sample_rate
        self.downsampling_ratio = model.downsampling_ratio
        self.encoded_channels = model.latent_dim
        self.is_discrete = model.is_discrete
        bottleneck: Any = model.bottleneck if model.is_discrete else None
        self.num_quantizers: int | None = bottleneck and bottleneck.num_quantizers
        self.codebook_size: int | None = bottleneck and bottleneck.codebook_size
        if model_half:
            model.half()

    def encode(self, x: Tensor, **kwargs: Any) -> Tensor:
        """(batch, channels, samples) → (batch, encoded_channels, ⌈samples / ratio⌉).

        Args:
            **kwargs: for the model's `encode_audio`.
        """
        options = {**self._saving, **kwargs}
        return self.model.encode_audio(self._taken(x), **options).to(x.dtype) / self.scale

    def decode(self, z: Tensor, **kwargs: Any) -> Tensor:
        """(batch, encoded_channels, frames) → (batch, channels, frames · ratio).

        Args:
            **kwargs: for the model's `decode_audio`.
        """
        options = {**self._saving, **kwargs}
        return self.model.decode_audio(self._taken(z * self.scale), **options).to(z.dtype)

    def tokenize(self, x: Tensor, **kwargs: Any) -> Tensor:
        """Audio → tokens (batch, quantizer, frame). Raises: TypeError without discrete latents."""
        if not self.is_discrete:
            raise TypeError("tokenize needs a model with a discrete bottleneck")
        bottleneck: Any = self.model.bottleneck
        _, info = self.model.encode(self._taken(x), return_info=True, **kwargs)
        return info[bottleneck.tokens_id]

    def decode_tokens(self, tokens: Tensor, **kwargs: Any) -> Tensor:
        """Tokens (batch, quantizer, frame) → audio. Raises: TypeError without discrete latents."""
        return self.model.decode_tokens(tokens, **kwargs)

    def encode_span(self, first: int, last: int) -> Span:
        return self.model.encode_span(first, last)

    def decode_span(self, first: int, last: int) -> Span:
        return self.model.decode_span(first, last)

    def encode_stream(self, **kwargs: Any) -> Stream:
        stream = self.model.encode_stream(**kwargs)
        return _Around(stream, self._taken, lambda y: y / self.scale)

    def decode_stream(self) -> Stream:
        return _Around(self.model.decode_stream(), lambda z: self._taken(z * self.scale))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Takes its own state dict, or that of the autoencoder alone."""
        # upstream: takes the latter only, so what it saves can't be loaded.
        if not any(key.startswith(_PREFIX) for key in state_dict):
            state_dict = {f"{_PREFIX}{key}": value for key, value in state_dict.items()}
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    @property
    def _saving(self) -> dict[str, Any]:
        chunks = {"chunked": self.chunked, "chunk_size": _CHUNK_FRAMES}
        return {**chunks, "iterate_batch": self.iterate_batch}

    def _taken(self, x: Tensor) -> Tensor:
        return x.half() if self.model_half else x

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The type of the network around it is not that of the model.
        super()._apply(fn, recurse)
        if self.model_half:
            self.model._apply(lambda x: x.half() if x.is_floating_point() else x)
        return self


class PretrainedPretransform(AutoencoderPretransform):
    """A codec with tokens, whose latents may stay unquantised until they are decoded.

    Args:
        model: the codec; it stays in eval mode.
        quantize_on_decode: `encode` gives what the encoder gives, `decode` quantises it.
        **options: as of `AutoencoderPretransform`.

    Source: stable_audio_tools/models/pretransforms.py.
    """

    def __init__(
        self, model: AudioAutoencoder, quantize_on_decode: bool = True, **options: Any
    ) -> None:
        super().__init__(model, **options)
        assert model.is_discrete
        self.quantize_on_decode = quantize_on_decode

    def encode(self, x: Tensor, **kwargs: Any) -> Tensor:
        return super().encode(x, **{"skip_bottleneck": self.quantize_on_decode, **kwargs})

    def decode(self, z: Tensor, **kwargs: Any) -> Tensor:
        return super().decode(self._quantised(z), **kwargs)

    def encode_stream(self, **kwargs: Any) -> Stream:
        return super().encode_stream(skip_bottleneck=self.quantize_on_decode, **kwargs)

    def decode_stream(self) -> Stream:
        return Chain([Pointwise(self._quantised), super().decode_stream()])

    def _quantised(self, z: Tensor) -> Tensor:
        if not self.quantize_on_decode:
            return z
        bottleneck: Any = self.model.bottleneck
        return bottleneck.encode(z * self.scale) / self.scale


class _Around(Stream):
    """A stream between two pointwise functions; its results have the type of its input."""

    def __init__(
        self,
        inner: Stream,
        before: Callable[[Tensor], Tensor],
        after: Callable[[Tensor], Tensor] = lambda y: y,
    ) -> None:
        self.inner, self.before, self.after = inner, before, after
        self._dtype: torch.dtype | None = None

    def needs(self, output: int) -> int:
        return self.inner.needs(output)

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        if x is not None:
            self._dtype, x = x.dtype, self.before(x)
        y = self.inner.advance(x, last)
        return None if y is None else self.after(y.to(self._dtype))
