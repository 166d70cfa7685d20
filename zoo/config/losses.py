"""What an autoencoder is trained to minimise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveInt
from zoo.config.distances import BalancerConfig, MelLossConfig, SemanticLossConfig
from zoo.config.weights import Weight, is_on
from zoo.errors import Problem


class STFTLossConfig(Config):
    """Multi-resolution STFT distance; for stereo of mid and side, left and right."""

    weight: Weight = Field(default=1.0, description="Weight; 0 leaves it out")
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
    scale: Literal["mel"] | None = Field(
        default=None, description="mel bands; null: the bins of the FFT"
    )
    n_bins: tuple[PositiveInt, ...] | None = Field(
        default=None, description="Mel bands of each resolution"
    )

    def contradictions(self) -> Iterator[Problem]:
        if (self.n_bins is None) != (self.scale is None):
            yield Problem("n_bins", "goes with `scale: mel`: give both or neither")
        given, wanted = len(self.n_bins or self.fft_sizes), len(self.fft_sizes)
        if given != wanted:
            yield Problem("n_bins", f"{given} entries, but fft_sizes has {wanted}")
        yield from equal_lengths(self, "fft_sizes", "hop_sizes", "win_lengths")
        yield from windows_fit(self.fft_sizes, self.win_lengths, "win_lengths")


class _BottleneckLosses(Config):
    """Weights of what bottlenecks report."""

    kl: Weight = Field(default=1e-6, description="Weight of a VAE's divergence")
    mmd: Weight = Field(default=100.0, description="Weight of a Wasserstein bottleneck's")
    quantizer: Weight = Field(
        default=1.0, description="Weight of the losses within `rvq` and `rvq_vae`"
    )
    commitment: Weight = Field(
        default=0.25,
        description="Weight of the pull of frames to codes in `dac_rvq`, `dac_rvq_vae`",
    )
    codebook: Weight = Field(
        default=1.0, description="Weight of the pull of codes to frames in `dac_rvq`, `dac_rvq_vae`"
    )
    softnorm: Weight = Field(
        default=1.0,
        description="Weight of a `softnorm` bottleneck's pull to zero mean, unit variance",
    )


class LossesConfig(_BottleneckLosses):
    """Weights of the reconstruction and bottleneck losses."""

    stft: STFTLossConfig = Field(default_factory=lambda: STFTLossConfig(), description="Spectra")
    l1: Weight = Field(default=0.0, description="Weight of the mean absolute error")
    l2: Weight = Field(default=0.0, description="Weight of the mean squared error")
    normalised_l2: Weight = Field(
        default=0.0, description="Weight of the squared error over the signal's energy"
    )
    si_sdr: Weight = Field(
        default=0.0, description="Weight of the negative signal-to-distortion ratio in dB"
    )
    mel: MelLossConfig = Field(default_factory=lambda: MelLossConfig(), description="Mel bands")
    semantic: SemanticLossConfig | None = Field(
        default=None, description="Features of a speech network; null: none"
    )
    balancer: BalancerConfig | None = Field(
        default=None, description="Share out the gradient at the output; null: weights are factors"
    )

    @property
    def nothing_to_learn(self) -> bool:
        """Whether no loss compares the output with the input."""
        sections = [self.stft, self.mel, *([self.semantic] if self.semantic else [])]
        weights = (self.l1, self.l2, self.normalised_l2, self.si_sdr)
        return not any(map(is_on, (*weights, *(section.weight for section in sections))))


class DiffusionLossesConfig(_BottleneckLosses):
    """Weights of the losses of a diffusion autoencoder."""

    mse: Weight = Field(
        default=1.0, description="Weight of the squared error of the network's prediction"
    )
    stft: STFTLossConfig = Field(
        default_factory=lambda: STFTLossConfig(weight=0.0),
        description="Spectra of the clean audio that a prediction stands for",
    )

    @property
    def nothing_to_learn(self) -> bool:
        """Whether no loss looks at the prediction."""
        return not (is_on(self.mse) or is_on(self.stft.weight))


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
