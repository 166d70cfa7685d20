"""What is handed to Lightning's Trainer, and what is written beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeFloat, NonNegativeInt, PositiveInt

LoggerName = Literal["wandb", "csv"]
Precision = Literal[
    "32-true",
    "bf16-mixed",
    "16-mixed",
    "bf16-true",
    "16-true",
    "64-true",
    32,
    "32",
    16,
    "16",
    "bf16",
    64,
    "64",
]


class TrainerConfig(Config):
    """Arguments of `lightning.Trainer`, by its names; steps are updates."""

    max_steps: Annotated[int, Field(strict=True, ge=-1)] = Field(
        default=1_000_000, description="Updates of the autoencoder; -1: no end"
    )
    max_time: str | None = Field(
        default=None, pattern=r"^\d+:\d\d:\d\d:\d\d$", description="Longest time, DD:HH:MM:SS"
    )
    accelerator: str = Field(default="auto", description="cpu, gpu, …")
    devices: int | str | tuple[int, ...] = Field(default="auto", description="How many or which")
    num_nodes: PositiveInt = Field(default=1, description="Machines")
    strategy: str = Field(default="auto", description="ddp, fsdp, …")
    precision: Precision = Field(default="32-true", description="Of weights and arithmetic")
    gradient_clip_val: NonNegativeFloat | None = Field(
        default=None,
        description="Largest norm, or value, of the gradient of each network; null or 0: none",
    )
    gradient_clip_algorithm: Literal["norm", "value"] = Field(
        default="norm", description="Scale the gradient to the norm, or cut off each value"
    )
    accumulate_grad_batches: PositiveInt = Field(
        default=1, description="Batches that make one update"
    )
    val_check_interval: PositiveInt = Field(default=1000, description="Steps between validations")
    limit_val_batches: NonNegativeInt | None = Field(default=None, description="At most so many")
    log_every_n_steps: PositiveInt = Field(default=50, description="Steps between log entries")
    deterministic: Bool | Literal["warn"] = Field(default=False, description="Exact on GPUs too")
    benchmark: Bool | None = Field(default=None, description="Let cuDNN measure its algorithms")
    detect_anomaly: Bool = Field(default=False, description="Find the source of NaN gradients")
    profiler: Literal["simple", "advanced", "pytorch"] | None = Field(
        default=None, description="Lightning's profilers"
    )
    enable_progress_bar: Bool = Field(default=True, description="Show a progress bar")


class CheckpointsConfig(Config):
    """What is kept of a run."""

    every_n_steps: PositiveInt = Field(default=1000, description="Steps between writes of `last`")
    monitor: Literal["val/stft", "val/mel", "val/si_sdr"] = Field(
        default="val/stft", description="Metric that decides which checkpoint is best"
    )


class LoggerConfig(Config):
    """Where metrics go besides a csv file."""

    type: LoggerName = Field(default="wandb", description="wandb, or csv alone")
    project: str = Field(default="zoo", description="Project at wandb")


class ExamplesConfig(Config):
    """What each validation writes to listen to and to look at."""

    clips: NonNegativeInt = Field(default=4, description="Clips written at each validation")
