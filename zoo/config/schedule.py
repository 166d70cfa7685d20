"""What happens when, in the training of an autoencoder."""

from __future__ import annotations

from pydantic import Field

from zoo.config.base import Bool, Config, Fraction, NonNegativeInt


class ScheduleConfig(Config):
    """Options of training beside losses and warm-up; but for `noise_warmup_steps`, upstream's."""

    freeze_encoder_at: NonNegativeInt | None = Field(
        default=None,
        description="Step from which encoder and bottleneck learn no more; null: never",
    )
    latent_mask: Fraction = Field(
        default=0.0, description="Share of latent values that the decoder gets as zeros"
    )
    force_mono: Bool = Field(
        default=False, description="Encode the mean of the channels; the target keeps them all"
    )
    noise_warmup_steps: NonNegativeInt = Field(
        default=0,
        description="Updates over which a VAE's noise grows from nothing to its full size",
    )
    alternate: Bool = Field(
        default=False,
        description="Update the autoencoder on even steps, the discriminator on odd ones; "
        "`trainer.max_steps` counts both",
    )
