"""The STFT that the U-Net of type `adp_1d` may work on."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveInt
from zoo.errors import Problem

_HOP = 256
_STFT_KEYS = (
    "stft_num_fft",
    "stft_hop_length",
    "stft_window_length",
    "stft_length",
    "stft_use_complex",
)


class STFTParameters(Config):
    """Whether the network works on spectra, and which."""

    use_stft: Bool = Field(default=False, description="Work on the frames of an STFT")
    use_stft_context: Bool = Field(
        default=False, description="The condition goes through the STFT too, as use_stft needs"
    )
    stft_num_fft: PositiveInt | None = Field(
        default=None, description="Samples per transform; required with use_stft"
    )
    stft_hop_length: PositiveInt | None = Field(
        default=None,
        description=f"Samples from one frame to the next, {_HOP} by default; at most a third of "
        "the window",
    )
    stft_window_length: PositiveInt | None = Field(
        default=None, description="Samples of the window; stft_num_fft by default"
    )
    stft_length: PositiveInt | None = Field(
        default=None,
        description="Samples that upstream's network gives; here always those it is given",
    )
    stft_use_complex: Bool | None = Field(
        default=None,
        description="Real and imaginary parts instead of magnitudes and phases, the default",
    )

    @property
    def hop_samples(self) -> int:
        """Samples per frame of what the network works on."""
        return (self.stft_hop_length or _HOP) if self.use_stft else 1

    def stft_contradictions(self) -> Iterator[Problem]:
        """What the parameters of the STFT say against each other."""
        if self.use_stft_context != self.use_stft:
            yield Problem(
                "config.use_stft_context",
                f"{str(self.use_stft_context).lower()}, but must be "
                f"{str(self.use_stft).lower()} as use_stft is: the condition joins the input",
            )
        if not self.use_stft:
            for key in _STFT_KEYS:
                if getattr(self, key) is not None:
                    yield Problem(
                        f"config.{key}",
                        f"{str(getattr(self, key)).lower()}, but must be absent without use_stft",
                    )
            return
        if self.stft_num_fft is None:
            yield Problem("config.stft_num_fft", "required with use_stft, but missing")
            return
        window = self.stft_window_length or self.stft_num_fft
        if window > self.stft_num_fft:
            yield Problem(
                "config.stft_window_length",
                f"{window}, but must be at most stft_num_fft, {self.stft_num_fft}: the window "
                "must fit into the transform",
            )
        hop = self.hop_samples
        if 3 * hop > window:
            yield Problem(
                "config.stft_hop_length",
                f"{hop}, but must be at most a third of the window's {window} samples: with less "
                "overlap its thin ends can't be inverted",
            )
