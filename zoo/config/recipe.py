"""A recipe: one training run of one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zoo.config.alarms import AlarmsConfig
from zoo.config.base import NonNegativeInt
from zoo.config.data import DataConfig
from zoo.config.discriminators import DiscriminatorConfig
from zoo.config.guard import GuardConfig
from zoo.config.load import model_kind
from zoo.config.losses import DiffusionLossesConfig, LossesConfig
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderContainer,
    BaseAutoencoderConfigContainer,
    DiffusionAutoencoderConfig,
    DiffusionAutoencoderConfigContainer,
    HyperencoderConfigContainer,
    StandardAutoencoderConfigContainer,
)
from zoo.config.optimizers import (
    DiffusionOptimizersConfig,
    EMAConfig,
    OptimizersConfig,
)
from zoo.config.sampling import DecodingConfig
from zoo.config.schedule import ScheduleConfig
from zoo.config.teacher import TeacherConfig
from zoo.config.timesteps import TimestepsConfig, UniformTimestepsConfig
from zoo.config.trainer import (
    CheckpointsConfig,
    EarlyStoppingConfig,
    ExamplesConfig,
    ExtraMetric,
    LoggerConfig,
    TrainerConfig,
    WatchConfig,
)

Part = Literal["encoder", "bottleneck", "decoder", "diffusion"]


def _off_or_on(value: Any) -> Any:
    # YAML reads a bare `on` as true.
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value


class BaseRecipeConfig(BaseAutoencoderConfigContainer):
    """A model's file and, beside it, what decides how any model is trained."""

    pretransform_checkpoint: str | None = Field(
        default=None,
        description="Weights of the autoencoder in the pretransform: a run folder, a checkpoint or "
        "whatever else `zoo pull` takes",
    )
    init_from: str | None = Field(
        default=None,
        description="Weights to begin with: a run folder, a checkpoint or whatever "
        "else `zoo pull` takes",
    )
    init_parts: tuple[Part, ...] | None = Field(
        default=None, min_length=1, description="Take only these parts of `init_from`; null: all"
    )
    freeze: tuple[Part, ...] = Field(
        default=(), description="Parts that keep their weights, and stay in eval mode"
    )
    name: str = Field(
        default="run", pattern=r"^\w[\w.-]*$", description="Name of the folder below `runs`"
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of weights, data and noise")
    engine: Literal["zoo", "stable-audio-tools"] = Field(
        default="zoo", description="Whose classes are built from the config"
    )
    runs: str = Field(default="runs", description="Where run folders are made")
    data: DataConfig = Field(default_factory=lambda: DataConfig(), description="Audio")
    ema: EMAConfig | None = Field(
        default_factory=lambda: EMAConfig(), description="Average of the weights; null: none"
    )
    checkpointing: Annotated[Literal["auto", "off", "on"], BeforeValidator(_off_or_on)] = Field(
        default="auto",
        description="Recompute activations to save memory; auto: where a step would not fit else",
    )
    guard: GuardConfig | None = Field(
        default_factory=lambda: GuardConfig(),
        description="Against updates that are not finite; null: none",
    )
    alarms: AlarmsConfig | None = Field(
        default_factory=lambda: AlarmsConfig(), description="What is said of odd values; null: none"
    )
    trainer: TrainerConfig = Field(default_factory=lambda: TrainerConfig(), description="Trainer")
    checkpoints: CheckpointsConfig = Field(
        default_factory=lambda: CheckpointsConfig(), description="Checkpoints"
    )
    metrics: tuple[ExtraMetric, ...] = Field(
        default=(), description="Validation metrics besides si_sdr, mel and stft"
    )
    early_stopping: EarlyStoppingConfig | None = Field(
        default=None, description="End a run that no longer gets better; null: never"
    )
    logger: LoggerConfig = Field(default_factory=lambda: LoggerConfig(), description="Logs")
    examples: ExamplesConfig = Field(
        default_factory=lambda: ExamplesConfig(), description="Audio and pictures"
    )
    watch: WatchConfig = Field(
        default_factory=lambda: WatchConfig(), description="What else is measured"
    )


class RecipeConfig(BaseRecipeConfig):
    """A run of a standard autoencoder or a hyperencoder."""

    model_type: Literal["autoencoder", "hyperencoder"] = Field(
        default="autoencoder", description="Kind of model"
    )
    model: AutoencoderConfig = Field(description="The network")
    losses: LossesConfig = Field(default_factory=lambda: LossesConfig(), description="Losses")
    discriminator: DiscriminatorConfig | None = Field(
        default=None, description="Adversarial training; null: none"
    )
    teacher: TeacherConfig | None = Field(default=None, description="Distillation; null: none")
    schedule: ScheduleConfig = Field(
        default_factory=lambda: ScheduleConfig(), description="What happens when"
    )
    optimizers: OptimizersConfig = Field(
        default_factory=lambda: OptimizersConfig(), description="Optimisers"
    )

    @property
    def learns_from_others(self) -> bool:
        """Whether a discriminator or a teacher gives losses."""
        taught = self.teacher is not None and self.teacher.weights.any()
        return self.discriminator is not None or taught

    def container(self) -> AutoencoderContainer:
        """The model's file alone."""
        kind = StandardAutoencoderConfigContainer
        if self.model_type == "hyperencoder":
            kind = HyperencoderConfigContainer
        return kind(**_shared(self, kind))


class DiffusionRecipeConfig(BaseRecipeConfig):
    """A run of a diffusion autoencoder."""

    model_type: Literal["diffusion_autoencoder"] = Field(
        default="diffusion_autoencoder", description="Kind of model"
    )
    model: DiffusionAutoencoderConfig = Field(description="The network")
    losses: DiffusionLossesConfig = Field(
        default_factory=lambda: DiffusionLossesConfig(), description="Losses"
    )
    timesteps: TimestepsConfig = Field(
        default_factory=lambda: UniformTimestepsConfig(type="uniform"),
        description="How much noise is trained on, how often",
    )
    optimizers: DiffusionOptimizersConfig = Field(
        default_factory=lambda: DiffusionOptimizersConfig(), description="Optimisers"
    )
    validation: DecodingConfig = Field(
        default_factory=lambda: DecodingConfig(), description="How validation decodes"
    )

    def container(self) -> DiffusionAutoencoderConfigContainer:
        """The model's file alone, completed."""
        kind = DiffusionAutoencoderConfigContainer
        return kind(**_shared(self, kind)).completed()


def _shared(recipe: BaseRecipeConfig, kind: type[BaseAutoencoderConfigContainer]) -> dict[str, Any]:
    """What a recipe has of a model's file; what it trains are not the published weights."""
    keys = kind.model_fields.keys() - {"published"}
    return {key: getattr(recipe, key) for key in keys}


AnyRecipe = RecipeConfig | DiffusionRecipeConfig


def recipe_class(data: Mapping[str, Any], source: str = "") -> type[AnyRecipe]:
    """The class for the kind of model in `data`. Raises: ConfigError for an unknown kind."""
    diffusion = model_kind(data, source) == "diffusion_autoencoder"
    return DiffusionRecipeConfig if diffusion else RecipeConfig
