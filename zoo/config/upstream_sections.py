"""Schema of the `training` section of stable-audio-tools' configs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Float,
    Fraction,
    Int,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from zoo.config.discriminators import DiscriminatorConfig
from zoo.config.optimizers import DiffusionOptimizersConfig, OptimizersConfig
from zoo.errors import Problem


class _Section(Config):
    type: str | None = Field(default=None, description="A name; the weights decide")


class SpectralParameters(Config):
    fft_sizes: tuple[PositiveInt, ...] = (1024, 2048, 512)
    hop_sizes: tuple[PositiveInt, ...] = (120, 240, 50)
    win_lengths: tuple[PositiveInt, ...] = (600, 1200, 240)
    perceptual_weighting: Bool = False
    scale: Literal["mel"] | None = None
    n_bins: tuple[PositiveInt, ...] | None = None


class SpectralWeights(Config):
    mrstft: NonNegativeFloat


class SpectralSection(_Section):
    config: SpectralParameters
    weights: SpectralWeights
    decay: PositiveFloat = 1.0


class TimeWeights(Config):
    l1: NonNegativeFloat = 0.0
    l2: NonNegativeFloat = 0.0


class TimeSection(_Section):
    config: dict[str, Any] = Field(default_factory=dict, max_length=0)
    weights: TimeWeights
    decay: PositiveFloat = 1.0


class MelParameters(Config):
    n_mels: tuple[PositiveInt, ...]
    window_lengths: tuple[PositiveInt, ...]
    pow: PositiveFloat
    log_weight: NonNegativeFloat
    mag_weight: NonNegativeFloat


class MelWeights(Config):
    mrmel: NonNegativeFloat


class MelSection(_Section):
    config: MelParameters
    weights: MelWeights


class HubertParameters(Config):
    model_name: Literal["HUBERT_LARGE", "WAVLM_LARGE", "WAV2VEC2_LARGE_LV60K"] = "HUBERT_LARGE"
    feature_ids: tuple[Int, ...] | None = Field(default=None, min_length=1)


class HubertWeights(Config):
    hubert: NonNegativeFloat


class HubertSection(_Section):
    config: HubertParameters = Field(default_factory=lambda: HubertParameters())
    weights: HubertWeights
    decay: PositiveFloat = 1.0


class BottleneckWeights(Config):
    kl: NonNegativeFloat = 1e-6
    mmd: NonNegativeFloat = 100.0


class BottleneckSection(_Section):
    config: dict[str, Any] = Field(default_factory=dict, max_length=0)
    weights: BottleneckWeights = Field(default_factory=lambda: BottleneckWeights())


class DiffusionLossSections(Config):
    bottleneck: BottleneckSection = Field(default_factory=lambda: BottleneckSection())


class LossSections(DiffusionLossSections):
    discriminator: DiscriminatorConfig | None = None
    spectral: SpectralSection
    time: TimeSection | None = None
    mrmel: MelSection | None = None
    hubert: HubertSection | None = None


class Demo(Config):
    demo_every: PositiveInt = 2000
    demo_steps: PositiveInt | None = None
    num_demos: NonNegativeInt | None = None


class _Training(Config):
    learning_rate: PositiveFloat | None = None
    clip_grad_norm: NonNegativeFloat = 0.0
    demo: Demo = Field(default_factory=lambda: Demo())


class AutoencoderTraining(_Training):
    """The section of an autoencoder or a hyperencoder."""

    warmup_steps: NonNegativeInt = 0
    warmup_mode: Literal["adv", "full"] = "adv"
    encoder_freeze_on_warmup: Bool = False
    use_ema: Bool = False
    force_input_mono: Bool = False
    latent_mask_ratio: Fraction = 0.0
    optimizer_configs: OptimizersConfig | None = None
    loss_configs: LossSections
    teacher_model: dict[str, Any] | None = None
    teacher_model_ckpt: str | None = None

    def contradictions(self) -> Iterator[Problem]:
        if (self.teacher_model is None) != (self.teacher_model_ckpt is None):
            yield Problem("teacher_model_ckpt", "goes with teacher_model: give both or neither")


class SamplerOptions(Config):
    mean_logsnr: Float = -1.2
    std_logsnr: PositiveFloat = 2.0


class DiffusionAutoencoderTraining(_Training):
    """The section of a diffusion autoencoder."""

    # upstream: reads only the rate and the reconstruction loss; what else is asked for here
    # is done as its other wrappers do it.
    use_ema: Bool = True
    use_reconstruction_loss: Bool = False
    optimizer_configs: DiffusionOptimizersConfig | None = None
    loss_configs: DiffusionLossSections = Field(default_factory=lambda: DiffusionLossSections())
    timestep_sampler: Literal["uniform", "logit_normal", "log_snr"] = "uniform"
    timestep_sampler_options: SamplerOptions = Field(default_factory=lambda: SamplerOptions())

    def contradictions(self) -> Iterator[Problem]:
        given = self.timestep_sampler_options.model_fields_set
        if given and self.timestep_sampler != "log_snr":
            yield Problem("timestep_sampler_options", "goes with timestep_sampler 'log_snr'")


UpstreamTraining = AutoencoderTraining | DiffusionAutoencoderTraining
