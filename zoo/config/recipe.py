"""A recipe: one training run of one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, assert_never

from pydantic import BeforeValidator, Field

from zoo.config import rules
from zoo.config.base import NonNegativeInt
from zoo.config.data import DataConfig
from zoo.config.discriminators import DiscriminatorConfig
from zoo.config.load import model_kind
from zoo.config.losses import DiffusionLossesConfig, LossesConfig
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderContainer,
    AutoencoderPretransformConfig,
    BaseAutoencoderConfigContainer,
    DiffusionAutoencoderConfig,
    DiffusionAutoencoderConfigContainer,
    HyperencoderConfigContainer,
    StandardAutoencoderConfigContainer,
)
from zoo.config.optimizers import (
    DiffusionOptimizersConfig,
    EMAConfig,
    OptimizationConfig,
    OptimizersConfig,
)
from zoo.config.sampling import DecodingConfig
from zoo.config.schedule import ScheduleConfig
from zoo.config.teacher import TeacherConfig
from zoo.config.timesteps import TimestepsConfig, UniformTimestepsConfig
from zoo.config.trainer import CheckpointsConfig, ExamplesConfig, LoggerConfig, TrainerConfig
from zoo.errors import Problem

Part = Literal["encoder", "bottleneck", "decoder", "diffusion"]


def _off_or_on(value: Any) -> Any:
    # YAML reads a bare `on` as true.
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value


class BaseRecipeConfig(BaseAutoencoderConfigContainer):
    """A model's file and, beside it, what decides how any model is trained."""

    pretransform_checkpoint: str | None = Field(
        default=None,
        description="Weights of the autoencoder in the pretransform: a checkpoint or a run folder",
    )
    init_from: str | None = Field(
        default=None, description="Weights to begin with: a checkpoint or a run folder"
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
    trainer: TrainerConfig = Field(default_factory=lambda: TrainerConfig(), description="Trainer")
    checkpoints: CheckpointsConfig = Field(
        default_factory=lambda: CheckpointsConfig(), description="Checkpoints"
    )
    logger: LoggerConfig = Field(default_factory=lambda: LoggerConfig(), description="Logs")
    examples: ExamplesConfig = Field(
        default_factory=lambda: ExamplesConfig(), description="Audio and pictures"
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
        return kind(**{key: getattr(self, key) for key in kind.model_fields})


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
        return kind(**{key: getattr(self, key) for key in kind.model_fields}).completed()


AnyRecipe = RecipeConfig | DiffusionRecipeConfig


def recipe_class(data: Mapping[str, Any], source: str = "") -> type[AnyRecipe]:
    """The class for the kind of model in `data`. Raises: ConfigError for an unknown kind."""
    diffusion = model_kind(data, source) == "diffusion_autoencoder"
    return DiffusionRecipeConfig if diffusion else RecipeConfig


def contradictions(recipe: AnyRecipe) -> Iterator[Problem]:
    """What the parts of a recipe say against each other."""
    model = recipe.container().model
    yield from rules.contradictions(recipe.container())
    if recipe.pretransform_checkpoint and not isinstance(
        model.pretransform, AutoencoderPretransformConfig
    ):
        yield Problem("pretransform_checkpoint", "needs a model.pretransform of type 'autoencoder'")
    for key, parts in (("init_parts", recipe.init_parts or ()), ("freeze", recipe.freeze)):
        for name in parts:
            if getattr(model, name, None) is None:
                yield Problem(key, f"there is no model.{name}")
    if recipe.init_parts and not recipe.init_from:
        yield Problem("init_parts", "of which weights? init_from names none")
    yield from _within("losses.stft", recipe.losses.stft.contradictions())
    others = isinstance(recipe, RecipeConfig) and recipe.learns_from_others
    if recipe.losses.nothing_to_learn and not others:
        yield Problem("losses", "every reconstruction loss has the weight 0: nothing to learn")
    match recipe:
        case RecipeConfig():
            yield from _discriminator(recipe)
            yield from _of_training(recipe)
            networks: tuple[str, ...] = ("autoencoder", "discriminator")
        case DiffusionRecipeConfig():
            yield from _within("timesteps", recipe.timesteps.contradictions())
            if recipe.engine != "zoo" and recipe.validation.sampler:
                yield Problem("validation.sampler", f"engine '{recipe.engine}' has one of its own")
            networks = ("autoencoder",)
        case _:
            assert_never(recipe)
    for network in networks:
        part: OptimizationConfig = getattr(recipe.optimizers, network)
        yield from _within(f"optimizers.{network}.optimizer", part.optimizer.contradictions())
    if recipe.engine != "zoo" and recipe.checkpointing == "on":
        yield Problem("checkpointing", f"engine '{recipe.engine}' decides this for itself")
    if recipe.data.segment_samples % model.min_length:
        yield Problem(
            "data.segment_samples",
            f"{recipe.data.segment_samples} is not a multiple of {model.min_length_words}",
        )


def _discriminator(recipe: RecipeConfig) -> Iterator[Problem]:
    judge = recipe.discriminator
    if judge is None:
        return
    _, channels = recipe.model.output_side
    yield from _within("discriminator", judge.contradictions(recipe.sample_rate, channels))
    if recipe.data.segment_samples < judge.min_samples:
        yield Problem(
            "data.segment_samples",
            f"{recipe.data.segment_samples} are too few for the discriminator, "
            f"which needs {judge.min_samples}",
        )


def _of_training(recipe: RecipeConfig) -> Iterator[Problem]:
    losses, schedule = recipe.losses, recipe.schedule
    yield from _within("losses.mel", losses.mel.contradictions())
    if losses.semantic is not None:
        yield from _within("losses.semantic", losses.semantic.contradictions())
    if schedule.alternate and recipe.discriminator is None:
        yield Problem("schedule.alternate", "there is no discriminator to alternate with")
    decoder_learns = "decoder" not in recipe.freeze and recipe.model.decoder.requires_grad
    if schedule.freeze_encoder_at is not None and not decoder_learns:
        yield Problem("schedule.freeze_encoder_at", "leaves nothing to train: no decoder learns")


def _within(path: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    return (Problem(f"{path}.{problem.path}", problem.message) for problem in problems)
