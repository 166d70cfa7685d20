"""What the rules ask of any encoder or decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from zoo.config.base import Bool, Config
from zoo.errors import Problem


class NetworkConfig(Config):
    """Base of all encoders and decoders.

    The class attributes are the names, under `config`, of what the rules compare.
    """

    ratio_key: ClassVar[str] = "strides"
    latent_key: ClassVar[str] = "latent_dim"
    audio_key: ClassVar[str]

    requires_grad: Bool = Field(default=True, description="Whether its weights are trained")

    @property
    def factors(self) -> tuple[int, ...]:
        """Down- or upsampling of each block, in the order of the file."""
        return self._parameter(self.ratio_key)

    @property
    def ratio(self) -> int:
        """Input samples per latent frame of an encoder, output samples of a decoder."""
        return math.prod(self.factors)

    @property
    def input_channels(self) -> int:
        raise NotImplementedError

    @property
    def output_channels(self) -> int:
        raise NotImplementedError

    @property
    def width_words(self) -> str:
        """What the latent width is made of where the file doesn't state it."""
        return ""

    def contradictions(self) -> Iterator[Problem]:
        """What its parameters say against each other; paths relative to this part."""
        yield from ()

    def _parameter(self, key: str) -> Any:
        return getattr(getattr(self, "config"), key)  # noqa: B009 – each network has its own class


class EncoderNetworkConfig(NetworkConfig):
    """Base of all encoders."""

    @property
    def input_channels(self) -> int:
        return self._parameter(self.audio_key)

    @property
    def output_channels(self) -> int:
        return self._parameter(self.latent_key)


class DecoderNetworkConfig(NetworkConfig):
    """Base of all decoders."""

    soft_clip: Bool = Field(
        default=False, description="tanh on the model's output, after the pretransform"
    )

    @property
    def input_channels(self) -> int:
        return self._parameter(self.latent_key)

    @property
    def output_channels(self) -> int:
        return self._parameter(self.audio_key)


def blocks_of_equal_length(**lists: Sequence[object]) -> Iterator[Problem]:
    """A problem for each list that is not as long as the first; paths `config.<name>`."""
    (first, items), *others = lists.items()
    for name, other in others:
        if len(other) != len(items):
            yield Problem(
                f"config.{name}",
                f"{len(other)} {name}, but {len(items)} {first}: each block needs one of each",
            )
