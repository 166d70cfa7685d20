"""Where training audio comes from and how crops are cut from it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zoo.config.base import (
    Config,
    Float,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
)

Sound = Literal["tone", "chord", "pluck", "drum", "chirp", "noise"]


class SynthesisConfig(Config):
    """Practice audio, written where no folder is given."""

    files: PositiveInt = Field(default=48, description="Number of files")
    seconds: PositiveInt = Field(default=8, description="Length of each file in seconds")
    seed: NonNegativeInt = Field(default=0, description="Seed of the corpus")
    sounds: tuple[Sound, ...] = Field(
        default=("tone", "chord", "pluck", "drum", "chirp", "noise"),
        min_length=1,
        description="Sound classes",
    )


class DataConfig(Config):
    """Crops of audio files for training, whole-file crops for validation."""

    folder: str | None = Field(
        default=None, description="Folder with wav, flac, ogg or mp3 files, searched recursively"
    )
    cache: str = Field(default=".zoo/practice", description="Where practice audio is written")
    synthesis: SynthesisConfig = Field(
        default_factory=SynthesisConfig, description="Practice audio, used without `folder`"
    )
    segment_samples: PositiveInt = Field(default=65536, description="Length of a crop in samples")
    batch_size: PositiveInt = Field(default=1, description="Crops per step and process")
    workers: NonNegativeInt = Field(default=2, description="Loader processes per training process")
    validation_fraction: Fraction = Field(
        default=0.05, description="Share of the files kept for validation"
    )
    validation_crops: PositiveInt = Field(default=16, description="Fixed crops per validation")
    skip_silence_db: Float | None = Field(
        default=-60.0,
        le=0,
        description="Crops below this peak (dB of full scale) are drawn again; null: never",
    )
    phase_flip: Fraction = Field(default=0.5, description="Probability of inverting the polarity")
    gain_db: NonNegativeFloat = Field(
        default=0.0, description="Random gain is uniform between minus and plus this, in dB"
    )
