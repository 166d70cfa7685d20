"""What is handed to Lightning's Trainer, and what is written beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeFloat, NonNegativeInt, PositiveInt
from zoo.errors import Problem

LoggerName = Literal["wandb", "tensorboard", "csv"]
Metric = Literal["val/stft", "val/mel", "val/si_sdr", "val/pesq"]
HIGHER_IS_BETTER = ("val/si_sdr", "val/pesq")
ExtraMetric = Literal["pesq"]
PESQ_RATE = 16000
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
# All that Lightning has.
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
Strategy = Literal[
    "auto",
    "single_device",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_find_unused_parameters_false",
    "ddp_spawn",
    "ddp_spawn_find_unused_parameters_true",
    "ddp_spawn_find_unused_parameters_false",
    "ddp_fork",
    "ddp_fork_find_unused_parameters_true",
    "ddp_fork_find_unused_parameters_false",
    "ddp_notebook",
    "ddp_notebook_find_unused_parameters_true",
    "ddp_notebook_find_unused_parameters_false",
    "fsdp",
    "fsdp_cpu_offload",
    "deepspeed",
    "deepspeed_stage_1",
    "deepspeed_stage_2",
    "deepspeed_stage_2_offload",
    "deepspeed_stage_3",
    "deepspeed_stage_3_offload",
    "deepspeed_stage_3_offload_nvme",
    "single_tpu",
    "single_xla",
    "xla",
    "xla_debug",
]


class TrainerConfig(Config):
    """Arguments of `lightning.Trainer`, by its names; steps are updates."""

    max_steps: Annotated[int, Field(strict=True, ge=-1)] = Field(
        default=1_000_000, description="Updates of the autoencoder; -1: no end"
    )
    max_time: str | None = Field(
        default=None, pattern=r"^\d+:\d\d:\d\d:\d\d$", description="Longest time, DD:HH:MM:SS"
    )
    accelerator: Accelerator = Field(default="auto", description="What it runs on")
    devices: int | str | tuple[int, ...] = Field(default="auto", description="How many or which")
    num_nodes: PositiveInt = Field(default=1, description="Machines")
    strategy: Strategy = Field(default="auto", description="How devices share the work")
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


class MonitorConfig(Config):
    """A validation metric, and which of its values are better."""

    monitor: Metric = Field(default="val/stft", description="Validation metric that decides")
    mode: Literal["min", "max"] | None = Field(
        default=None, description="Which values are better; null: as the metric is defined"
    )

    @property
    def direction(self) -> Literal["min", "max"]:
        return "max" if self.monitor in HIGHER_IS_BETTER else "min"

    def contradictions(self) -> Iterator[Problem]:
        if self.mode not in (None, self.direction):
            better = "higher" if self.direction == "max" else "lower"
            yield Problem("mode", f"{self.monitor} is better where it is {better}; leave mode out")


class CheckpointsConfig(MonitorConfig):
    """What is kept of a run."""

    every_n_steps: PositiveInt = Field(default=1000, description="Steps between writes of `last`")
    keep: PositiveInt = Field(default=1, description="How many of the best are kept")


class EarlyStoppingConfig(MonitorConfig):
    """When a run ends that no longer gets better."""

    patience: PositiveInt = Field(default=10, description="Validations without improvement")
    min_delta: NonNegativeFloat = Field(
        default=0.0, description="Least change that is an improvement, in the metric's unit"
    )


class LoggerConfig(Config):
    """Where metrics go besides a csv file."""

    type: LoggerName = Field(default="wandb", description="wandb, tensorboard, or csv alone")
    project: str = Field(default="zoo", description="Project at wandb")
    artifacts: Bool = Field(
        default=False, description="Upload best and last checkpoint to wandb when the run ends"
    )


class ExamplesConfig(Config):
    """What each validation writes to listen to and to look at."""

    clips: NonNegativeInt = Field(default=4, description="Clips written at each validation")


class WatchConfig(Config):
    """What is measured of a run besides its losses."""

    latents: Bool = Field(
        default=True, description="Statistics and principal components of validation's latents"
    )
    sensitivity: Bool = Field(
        default=True, description="A picture of where the discriminator looks, at each validation"
    )
    speed: Bool = Field(
        default=True, description="Audio and updates per second, wait for data, GPU memory"
    )
