"""A recipe: one training run of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zoo.config import rules
from zoo.config.base import NonNegativeInt
from zoo.config.data import DataConfig
from zoo.config.losses import DiscriminatorConfig, LossesConfig
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderContainer,
    AutoencoderPretransformConfig,
    BaseAutoencoderConfigContainer,
    HyperencoderConfigContainer,
    StandardAutoencoderConfigContainer,
)
from zoo.config.optimizers import EMAConfig, OptimizationConfig, OptimizersConfig
from zoo.config.trainer import CheckpointsConfig, ExamplesConfig, LoggerConfig, TrainerConfig
from zoo.errors import Problem


def _off_or_on(value: Any) -> Any:
    # YAML reads a bare `on` as true.
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value


class RecipeConfig(BaseAutoencoderConfigContainer):
    """A model's file and, beside it, all that decides how it is trained."""

    model_type: Literal["autoencoder", "hyperencoder"] = Field(
        default="autoencoder", description="Kind of model"
    )
    model: AutoencoderConfig = Field(description="The network")
    pretransform_checkpoint: str | None = Field(
        default=None,
        description="Weights of the autoencoder in the pretransform: a checkpoint or a run folder",
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
    losses: LossesConfig = Field(default_factory=lambda: LossesConfig(), description="Losses")
    discriminator: DiscriminatorConfig | None = Field(
        default=None, description="Adversarial training; null: none"
    )
    optimizers: OptimizersConfig = Field(
        default_factory=lambda: OptimizersConfig(), description="Optimisers"
    )
    ema: EMAConfig | None = Field(
        default_factory=lambda: EMAConfig(), description="Average of the weights; null: none"
    )
    checkpointing: Annotated[Literal["off", "on"], BeforeValidator(_off_or_on)] = Field(
        default="off", description="Recompute activations to save memory"
    )
    trainer: TrainerConfig = Field(default_factory=lambda: TrainerConfig(), description="Trainer")
    checkpoints: CheckpointsConfig = Field(
        default_factory=lambda: CheckpointsConfig(), description="Checkpoints"
    )
    logger: LoggerConfig = Field(default_factory=lambda: LoggerConfig(), description="Logs")
    examples: ExamplesConfig = Field(
        default_factory=lambda: ExamplesConfig(), description="Audio and pictures"
    )

    def container(self) -> AutoencoderContainer:
        """The model's file alone."""
        kind = StandardAutoencoderConfigContainer
        if self.model_type == "hyperencoder":
            kind = HyperencoderConfigContainer
        return kind(**{key: getattr(self, key) for key in kind.model_fields})


def contradictions(recipe: RecipeConfig) -> Iterator[Problem]:
    """What the parts of a recipe say against each other."""
    yield from rules.contradictions(recipe.container())
    if recipe.pretransform_checkpoint and not isinstance(
        recipe.model.pretransform, AutoencoderPretransformConfig
    ):
        yield Problem("pretransform_checkpoint", "needs a model.pretransform of type 'autoencoder'")
    yield from _within("losses.stft", recipe.losses.stft.contradictions())
    if recipe.discriminator:
        yield from _within("discriminator", recipe.discriminator.contradictions())
    for network in ("autoencoder", "discriminator"):
        part: OptimizationConfig = getattr(recipe.optimizers, network)
        yield from _within(f"optimizers.{network}.optimizer", part.optimizer.contradictions())
    if recipe.discriminator is None and recipe.losses.without_reconstruction:
        yield Problem("losses", "every reconstruction loss has the weight 0: nothing to learn")
    if recipe.engine != "zoo" and recipe.checkpointing == "on":
        yield Problem("checkpointing", f"engine '{recipe.engine}' decides this for itself")
    ratio = recipe.model.downsampling_ratio
    if recipe.data.segment_samples % ratio:
        yield Problem(
            "data.segment_samples",
            f"{recipe.data.segment_samples} is not a multiple of model.downsampling_ratio {ratio}",
        )


def _within(path: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    return (Problem(f"{path}.{problem.path}", problem.message) for problem in problems)
