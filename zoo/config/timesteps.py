"""How much noise a diffusion model is trained on, how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, Float, PositiveFloat, PositiveInt
from zoo.errors import Problem


class ShiftConfig(Config):
    """Moves times towards more noise, the more so the longer the signal is."""

    base_shift: Float = Field(default=0.5, description="Shift for `min_length`")
    max_shift: Float = Field(default=1.15, description="Shift for `max_length`")
    min_length: PositiveInt = Field(
        default=256, description="Length of the signal with `base_shift`, in samples"
    )
    max_length: PositiveInt = Field(
        default=4096, description="Length of the signal with `max_shift`, in samples"
    )
    use_sine: Bool = Field(default=False, description="Then bend times by a quarter of a sine")


class _Timesteps(Config):
    shift: ShiftConfig | None = Field(default=None, description="Shift of the times; null: none")

    def contradictions(self) -> Iterator[Problem]:
        """What its parameters say against each other; paths relative to this part."""
        if self.shift and self.shift.max_length <= self.shift.min_length:
            yield Problem(
                "shift.max_length",
                f"{self.shift.max_length}, but must be above min_length {self.shift.min_length}",
            )


class UniformTimestepsConfig(_Timesteps):
    """All times alike, evenly spread in each batch."""

    type: Literal["uniform"]


class LogitNormalTimestepsConfig(_Timesteps):
    """The logit of the time is normally distributed: more of the middle."""

    type: Literal["logit_normal"]
    mean: Float = Field(default=0.0, description="Mean of the logit")
    std: PositiveFloat = Field(default=1.0, description="Standard deviation of the logit")


class LogSNRTimestepsConfig(_Timesteps):
    """The logarithm of the signal-to-noise ratio is normally distributed."""

    type: Literal["log_snr"]
    mean: Float = Field(default=-1.2, description="Mean of log((1 - t) / t)")
    std: PositiveFloat = Field(default=2.0, description="Its standard deviation")


TimestepsConfig = Annotated[
    UniformTimestepsConfig | LogitNormalTimestepsConfig | LogSNRTimestepsConfig,
    Field(discriminator="type"),
]
