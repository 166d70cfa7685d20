"""From a recipe to what a training run is made of."""

from __future__ import annotations

from functools import partial
from typing import Any, assert_never

from torch import nn

from zoo.checkpoints.sources import read_source
from zoo.checkpoints.weights import load_weights
from zoo.config.discriminators import (
    BigVGANDiscriminatorConfig,
    DACDiscriminatorConfig,
    DiscriminatorConfig,
    EncodecDiscriminatorConfig,
    OobleckDiscriminatorConfig,
)
from zoo.config.model import AutoencoderPretransformConfig
from zoo.config.recipe import AnyRecipe, DiffusionRecipeConfig, RecipeConfig
from zoo.config.timesteps import (
    LogitNormalTimestepsConfig,
    LogSNRTimestepsConfig,
    UniformTimestepsConfig,
)
from zoo.data.messages import say
from zoo.errors import CheckpointError
from zoo.factory.diffusion import create_process
from zoo.load import built, from_config
from zoo.models.diffusion.timesteps import (
    DistributionShift,
    LogitNormal,
    LogSNR,
    Shifted,
    Timesteps,
    Uniform,
)
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.discriminators.big_vgan import BigVGANDiscriminator
from zoo.nets.discriminators.dac import DACDiscriminator
from zoo.nets.discriminators.multi_scale_stft import EncodecDiscriminator
from zoo.nets.discriminators.oobleck import OobleckDiscriminator
from zoo.training.adversary import Adversary
from zoo.training.autoencoder_module import AutoencoderModule
from zoo.training.balancer import Balancer
from zoo.training.build_losses import build_objective, build_teacher
from zoo.training.build_optimization import build_optimization
from zoo.training.diffusion_autoencoder_module import DiffusionAutoencoderModule
from zoo.training.module import Configure, ModelModule


def build_module(recipe: AnyRecipe, resumed: bool = False) -> ModelModule:
    """The model of a recipe with its first weights, its losses and optimisers.

    Args:
        resumed: all weights come from a checkpoint later, so none are read here.

    Raises:
        ConfigError: where the recipe's engine can't build the model.
        CheckpointError: where `pretransform_checkpoint` or `init_from` can't be read or don't fit.
    """
    model = _model(recipe, resumed)
    configure: dict[str, Configure] = {
        "autoencoder": partial(build_optimization, recipe.optimizers.autoencoder)
    }
    match recipe:
        case RecipeConfig():
            configure["discriminator"] = partial(
                build_optimization, recipe.optimizers.discriminator
            )
            adversary = None
            if recipe.discriminator is not None:
                discriminator = build_discriminator(
                    recipe.discriminator, model.out_channels, recipe.sample_rate
                )
                adversary = Adversary(discriminator, recipe.discriminator)
            balancer = recipe.losses.balancer
            batches = recipe.trainer.accumulate_grad_batches
            return AutoencoderModule(
                model,
                build_objective(recipe),
                adversary,
                configure,
                recipe,
                teacher=build_teacher(recipe, model),
                balancer=balancer and Balancer(**dict(balancer), batches=batches),
            )
        case DiffusionRecipeConfig():
            return DiffusionAutoencoderModule(
                model,
                create_process(recipe.model.diffusion),
                build_timesteps(recipe),
                build_objective(recipe),
                configure,
                recipe,
            )
        case _:
            assert_never(recipe)


def _model(recipe: AnyRecipe, resumed: bool) -> Any:
    read = built if resumed else from_config
    model: Any = read(recipe.container(), engine=recipe.engine)
    if not resumed:
        _fill_pretransform(model, recipe)
        _begin(model, recipe)
    # `train` has settled "auto"; "off" leaves what the model's own config may have turned on.
    if recipe.engine == "zoo" and recipe.checkpointing == "on":
        set_checkpointing(model, True)
    for part in recipe.freeze:
        getattr(model, part).requires_grad_(False)
    return model.train()


def _fill_pretransform(model: Any, recipe: AnyRecipe) -> None:
    """Loads the weights of the autoencoder in the pretransform, if there is one."""
    if recipe.pretransform_checkpoint is not None:
        checkpoint = read_source(recipe.pretransform_checkpoint)
        rate = (checkpoint.config or {}).get("sample_rate", recipe.sample_rate)
        if rate != recipe.sample_rate:
            raise CheckpointError(
                f"{checkpoint.path}: made for {rate} Hz, but sample_rate is {recipe.sample_rate}"
            )
        load_weights(model.pretransform.model, checkpoint.weights, str(checkpoint.path))
    elif isinstance(recipe.model.pretransform, AutoencoderPretransformConfig):
        say("the pretransform has random weights; give it some: pretransform_checkpoint=PATH")


def _begin(model: Any, recipe: AnyRecipe) -> None:
    """Loads the weights of `init_from`, or its parts that the recipe names."""
    if recipe.init_from is None:
        return
    checkpoint = read_source(recipe.init_from)
    source = str(checkpoint.path)
    if recipe.init_parts is None:
        say(f"begins with {source}: {load_weights(model, checkpoint.weights, source)}")
    for part in recipe.init_parts or ():
        prefix = f"{part}."
        weights = {
            key.removeprefix(prefix): value
            for key, value in checkpoint.weights.items()
            if key.startswith(prefix)
        }
        report = load_weights(getattr(model, part), weights, f"{source}: {part}")
        say(f"{part} begins with {source}: {report}")


def build_timesteps(recipe: DiffusionRecipeConfig) -> Timesteps:
    """How the times of a training step are drawn."""
    config = recipe.timesteps
    match config:
        case UniformTimestepsConfig():
            timesteps: Timesteps = Uniform()
        case LogitNormalTimestepsConfig():
            timesteps = LogitNormal(config.mean, config.std)
        case LogSNRTimestepsConfig():
            timesteps = LogSNR(config.mean, config.std)
        case _:
            assert_never(config)
    if config.shift is None:
        return timesteps
    around = recipe.model.pretransform.ratio if recipe.model.pretransform else 1
    length = recipe.data.segment_samples // around
    return Shifted(timesteps, DistributionShift(**dict(config.shift)), length)


def build_discriminator(config: DiscriminatorConfig, channels: int, sample_rate: int) -> nn.Module:
    """A discriminator of audio with `channels` channels at `sample_rate` Hz."""
    match config:
        case EncodecDiscriminatorConfig(config=given):
            return EncodecDiscriminator(
                filters=given.filters,
                in_channels=channels,
                n_ffts=given.n_ffts,
                hop_lengths=given.hop_lengths,
                win_lengths=given.win_lengths,
            )
        case DACDiscriminatorConfig(config=given):
            return DACDiscriminator(
                channels,
                rates=given.rates,
                periods=given.periods,
                fft_sizes=given.fft_sizes,
                bands=given.bands,
            )
        case OobleckDiscriminatorConfig():
            return OobleckDiscriminator(channels)
        case BigVGANDiscriminatorConfig(config=given):
            return BigVGANDiscriminator(
                sample_rate,
                channels,
                periods=given.periods,
                hop_lengths=given.cqtd_hop_lengths,
                n_octaves=given.cqtd_n_octaves,
                bins_per_octaves=given.cqtd_bins_per_octaves,
                out_channels=given.cqtd_out_channels,
                filters=given.cqtd_filters,
                max_filters=given.cqtd_max_filters,
                filters_scale=given.cqtd_filters_scale,
                dilations=given.cqtd_dilations,
                fmin=given.fmin,
                normalize_volume=given.cqtd_normalize_volume,
            )
        case _:
            assert_never(config)
