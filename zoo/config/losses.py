"""What an autoencoder is trained to minimise."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeFloat, PositiveInt
from zoo.errors import Problem


class STFTLossConfig(Config):
    """Multi-resolution STFT distance; for stereo of mid and side, left and right."""

    weight: NonNegativeFloat = Field(default=1.0, description="Weight; 0 leaves it out")
    fft_sizes: tuple[PositiveInt, ...] = Field(
        default=(2048, 1024, 512, 256, 128, 64, 32),
        min_length=1,
        description="FFT length of each resolution in samples",
    )
    hop_sizes: tuple[PositiveInt, ...] = Field(
        default=(512, 256, 128, 64, 32, 16, 8), description="Hop of each resolution in samples"
    )
    win_lengths: tuple[PositiveInt, ...] = Field(
        default=(2048, 1024, 512, 256, 128, 64, 32),
        description="Window of each resolution in samples",
    )
    perceptual_weighting: Bool = Field(default=True, description="A-weight the signals first")

    def contradictions(self) -> Iterator[Problem]:
        yield from equal_lengths(self, "fft_sizes", "hop_sizes", "win_lengths")
        yield from windows_fit(self.fft_sizes, self.win_lengths, "win_lengths")


class _BottleneckLosses(Config):
    """Weights of what bottlenecks report."""

    kl: NonNegativeFloat = Field(default=1e-6, description="Weight of a VAE's divergence")
    mmd: NonNegativeFloat = Field(default=100.0, description="Weight of a Wasserstein bottleneck's")
    quantizer: NonNegativeFloat = Field(
        default=1.0, description="Weight of the losses within `rvq` and `rvq_vae`"
    )
    commitment: NonNegativeFloat = Field(
        default=0.25,
        description="Weight of the pull of frames to codes in `dac_rvq`, `dac_rvq_vae`",
    )
    codebook: NonNegativeFloat = Field(
        default=1.0, description="Weight of the pull of codes to frames in `dac_rvq`, `dac_rvq_vae`"
    )
    softnorm: NonNegativeFloat = Field(
        default=1.0,
        description="Weight of a `softnorm` bottleneck's pull to zero mean, unit variance",
    )


class LossesConfig(_BottleneckLosses):
    """Weights of the reconstruction and bottleneck losses."""

    stft: STFTLossConfig = Field(default_factory=lambda: STFTLossConfig(), description="Spectra")
    l1: NonNegativeFloat = Field(default=0.0, description="Weight of the mean absolute error")
    l2: NonNegativeFloat = Field(default=0.0, description="Weight of the mean squared error")
    normalised_l2: NonNegativeFloat = Field(
        default=0.0, description="Weight of the squared error over the signal's energy"
    )

    @property
    def nothing_to_learn(self) -> bool:
        """Whether no loss compares the output with the input."""
        return not (self.stft.weight or self.l1 or self.l2 or self.normalised_l2)


class DiffusionLossesConfig(_BottleneckLosses):
    """Weights of the losses of a diffusion autoencoder."""

    mse: NonNegativeFloat = Field(
        default=1.0, description="Weight of the squared error of the network's prediction"
    )
    stft: STFTLossConfig = Field(
        default_factory=lambda: STFTLossConfig(weight=0.0),
        description="Spectra of the clean audio that a prediction stands for",
    )

    @property
    def nothing_to_learn(self) -> bool:
        """Whether no loss looks at the prediction."""
        return not (self.mse or self.stft.weight)


def equal_lengths(
    config: Config, first: str, second: str, third: str, prefix: str = ""
) -> Iterator[Problem]:
    """One problem for each list that is not as long as the first."""
    wanted = len(getattr(config, first))
    for name in (second, third):
        given = len(getattr(config, name))
        if given != wanted:
            yield Problem(prefix + name, f"{given} entries, but {first} has {wanted}")


def windows_fit(ffts: tuple[int, ...], windows: tuple[int, ...], path: str) -> Iterator[Problem]:
    """One problem for each window that is longer than its FFT."""
    for fft, window in zip(ffts, windows, strict=False):
        if window > fft:
            yield Problem(path, f"a window of {window} samples is longer than its FFT of {fft}")
