"""What an autoencoder is trained against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from zoo.config.losses import equal_lengths, windows_fit
from zoo.errors import Problem

Window = Annotated[int, Field(strict=True, gt=0, multiple_of=4)]
Period = Annotated[int, Field(strict=True, ge=2)]
_PERIODS = (2, 3, 5, 7, 11)


class EncodecDiscriminatorParameters(Config):
    """The multi-scale STFT discriminator of EnCodec."""

    filters: PositiveInt = Field(default=32, description="Width")
    n_ffts: tuple[PositiveInt, ...] = Field(
        default=(2048, 1024, 512, 256, 128),
        min_length=1,
        description="FFT length of each scale in samples",
    )
    hop_lengths: tuple[PositiveInt, ...] = Field(
        default=(512, 256, 128, 64, 32), description="Hop of each scale in samples"
    )
    win_lengths: tuple[PositiveInt, ...] = Field(
        default=(2048, 1024, 512, 256, 128), description="Window of each scale in samples"
    )
    normalize_losses: Bool = Field(
        default=False, description="Divide feature distances by the features' size"
    )
    loss_type: Literal["hinge", "rpgan"] = Field(
        default="hinge",
        description="Adversarial loss; 'rpgan' scores reals and fakes relative to each other",
    )


class DACDiscriminatorParameters(Config):
    """The discriminator of descript-audio-codec."""

    rates: tuple[PositiveInt, ...] = Field(
        default=(), description="Factors by which the sample rate is divided, one waveform each"
    )
    periods: tuple[Period, ...] = Field(
        default=_PERIODS, description="Periods of the waveform in samples"
    )
    fft_sizes: tuple[Window, ...] = Field(
        default=(2048, 1024, 512), description="Windows of the spectra in samples"
    )
    bands: tuple[tuple[Fraction, Fraction], ...] = Field(
        default=((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)),
        min_length=1,
        description="Begin and end of each band of a spectrum, of the Nyquist frequency",
    )
    use_hinge: Bool = Field(default=False, description="Hinge instead of least squares")


class OobleckDiscriminatorParameters(Config):
    """The waveform discriminator of type oobleck; its sizes are fixed: 50 million weights."""

    in_channels: PositiveInt | None = Field(
        default=None, description="Audio channels; by default the model's"
    )


class BigVGANDiscriminatorParameters(Config):
    """The discriminator of BigVGAN 2: periods, and constant-Q spectra in octaves."""

    use_hinge: Bool = Field(
        default=False, description="Hinge instead of least squares, for the periods"
    )
    periods: tuple[Period, ...] = Field(
        default=_PERIODS, min_length=1, description="Periods of the waveform in samples"
    )
    cqtd_filters: PositiveInt = Field(default=32, description="Width")
    cqtd_max_filters: PositiveInt = Field(default=1024, description="Largest width")
    cqtd_filters_scale: PositiveInt = Field(
        default=1, description="Growth of the width from one layer to the next"
    )
    cqtd_dilations: tuple[PositiveInt, ...] = Field(
        default=(1, 2, 4), description="Dilation over frames of each layer"
    )
    cqtd_out_channels: PositiveInt = Field(default=1, description="Channels of the scores")
    cqtd_hop_lengths: tuple[PositiveInt, ...] = Field(
        default=(512, 256, 256),
        min_length=1,
        description="Hop of each scale in samples at twice the sample rate; best a power of two",
    )
    cqtd_n_octaves: tuple[PositiveInt, ...] = Field(
        default=(9, 9, 9), description="Octaves of each scale"
    )
    cqtd_bins_per_octaves: tuple[PositiveInt, ...] = Field(
        default=(24, 36, 48), description="Bins per octave of each scale"
    )
    cqtd_normalize_volume: Bool = Field(
        default=False, description="Remove the mean and set the peak to 0.8 first"
    )
    fmin: PositiveFloat = Field(default=32.7, description="Lowest bin in Hz")


class DiscriminatorWeights(Config):
    adversarial: NonNegativeFloat = Field(default=0.1, description="Weight of the adversarial loss")
    feature_matching: NonNegativeFloat = Field(
        default=5.0, description="Weight of the feature distance"
    )


class _Discriminator(Config):
    weights: DiscriminatorWeights = Field(
        default_factory=lambda: DiscriminatorWeights(), description="Weights"
    )
    float32: Bool = Field(
        default=True,
        description="Judge in float32, whatever `trainer.precision` makes of the autoencoder; "
        "false is faster on GPUs",
    )
    warmup_steps: NonNegativeInt = Field(
        default=0, description="Steps before the autoencoder sees the adversarial losses"
    )
    warmup_mode: Literal["adv", "full"] = Field(
        default="adv", description="During warm-up, 'adv' trains the discriminator, 'full' doesn't"
    )

    @property
    def min_samples(self) -> int:
        """The shortest signal that can be judged."""
        return 1

    def updates_in_turns(self, steps: int) -> int:
        """How often it has been updated after `steps` steps, where the two networks take turns."""
        first = self.warmup_steps if self.warmup_mode == "full" else 0
        return max(0, steps // 2 - first // 2)

    def contradictions(self, sample_rate: int, channels: int) -> Iterator[Problem]:
        """What it says against itself or the audio that it hears; paths relative to this part."""
        return iter(())


class EncodecDiscriminatorConfig(_Discriminator):
    """Adversarial training against a multi-scale STFT discriminator."""

    type: Literal["encodec"]
    config: EncodecDiscriminatorParameters = Field(
        default_factory=lambda: EncodecDiscriminatorParameters(), description="Parameters"
    )

    def contradictions(self, sample_rate: int, channels: int) -> Iterator[Problem]:
        yield from equal_lengths(self.config, "n_ffts", "hop_lengths", "win_lengths", "config.")
        yield from windows_fit(self.config.n_ffts, self.config.win_lengths, "config.win_lengths")


class DACDiscriminatorConfig(_Discriminator):
    """Adversarial training against periods, sample rates and bands of spectra."""

    type: Literal["dac"]
    config: DACDiscriminatorParameters = Field(
        default_factory=lambda: DACDiscriminatorParameters(), description="Parameters"
    )

    @property
    def min_samples(self) -> int:
        lengths = [1, *self.config.rates]
        lengths += [period + 1 for period in self.config.periods]
        lengths += [-(-5 * size // 8) for size in self.config.fft_sizes]
        return max(lengths)

    def contradictions(self, sample_rate: int, channels: int) -> Iterator[Problem]:
        given = self.config
        if not (given.rates or given.periods or given.fft_sizes):
            yield Problem("config", "rates, periods and fft_sizes are all empty: nothing to train")
        for low, high in given.bands:
            for size in given.fft_sizes:
                bins = size // 2 + 1
                if int(low * bins) >= int(high * bins):
                    yield Problem("config.bands", f"[{low}, {high}] has no bin of an FFT of {size}")
                    break


class OobleckDiscriminatorConfig(_Discriminator):
    """Adversarial training against periods and scales of the waveform."""

    type: Literal["oobleck"]
    config: OobleckDiscriminatorParameters = Field(
        default_factory=lambda: OobleckDiscriminatorParameters(), description="Parameters"
    )

    @property
    def min_samples(self) -> int:
        return 4

    def contradictions(self, sample_rate: int, channels: int) -> Iterator[Problem]:
        given = self.config.in_channels
        if given not in (None, channels):
            yield Problem("config.in_channels", f"{given}, but the model gives {channels} channels")


class BigVGANDiscriminatorConfig(_Discriminator):
    """Adversarial training against periods of the waveform and constant-Q spectra."""

    type: Literal["big_vgan"]
    config: BigVGANDiscriminatorParameters = Field(
        default_factory=lambda: BigVGANDiscriminatorParameters(), description="Parameters"
    )

    @property
    def min_samples(self) -> int:
        return max(self.config.periods) + 1

    def contradictions(self, sample_rate: int, channels: int) -> Iterator[Problem]:
        given = self.config
        yield from equal_lengths(
            given, "cqtd_hop_lengths", "cqtd_n_octaves", "cqtd_bins_per_octaves", "config."
        )
        for octaves in given.cqtd_n_octaves:
            top = given.fmin * 2**octaves
            if top > sample_rate:
                yield Problem(
                    "config.cqtd_n_octaves",
                    f"{octaves} octaves from {given.fmin} Hz end at {top:.0f} Hz, "
                    f"above the sample rate of {sample_rate} Hz",
                )


DiscriminatorConfig = Annotated[
    EncodecDiscriminatorConfig
    | DACDiscriminatorConfig
    | OobleckDiscriminatorConfig
    | BigVGANDiscriminatorConfig,
    Field(discriminator="type"),
]
