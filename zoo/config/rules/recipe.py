"""What the parts of a recipe say against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never, get_args

from zoo.config import rules
from zoo.config.model import AutoencoderPretransformConfig
from zoo.config.optimizers import OptimizationConfig
from zoo.config.recipe import AnyRecipe, DiffusionRecipeConfig, Part, RecipeConfig
from zoo.config.trainer import PESQ_RATE, CheckpointsConfig, EarlyStoppingConfig
from zoo.errors import Problem


def recipe_contradictions(recipe: AnyRecipe) -> Iterator[Problem]:
    """Every contradiction in a recipe, those of its model first."""
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
    parts = {name: getattr(model, name, None) for name in get_args(Part)}
    learning = [name for name, part in parts.items() if part is not None and part.requires_grad]
    if not set(learning) - set(recipe.freeze):
        yield Problem("freeze", "nothing to train: every part is frozen, here or by requires_grad")
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
        updates = _updates(recipe, network)
        yield from _within(f"optimizers.{network}", part.contradictions(updates))
    if recipe.alarms is not None:
        yield from _within("alarms", recipe.alarms.contradictions())
    yield from _shards(recipe)
    yield from _of_watching(recipe)
    if recipe.engine != "zoo" and recipe.checkpointing == "on":
        yield Problem("checkpointing", f"engine '{recipe.engine}' decides this for itself")
    if recipe.data.segment_samples % model.min_length:
        yield Problem(
            "data.segment_samples",
            f"{recipe.data.segment_samples} is not a multiple of {model.min_length_words}",
        )


def _shards(recipe: AnyRecipe) -> Iterator[Problem]:
    """What can't be had where each process holds a part of the weights."""
    strategy = recipe.trainer.strategy
    if not strategy.startswith(("fsdp", "deepspeed")):
        return
    whole = f"needs whole weights in each process, but trainer.strategy '{strategy}' shares them"
    if isinstance(recipe, RecipeConfig) and recipe.discriminator is not None:
        yield Problem("discriminator", f"{whole}: give null, or the strategy ddp")
    if recipe.ema is not None:
        yield Problem("ema", f"{whole}: give null, or the strategy ddp")
    if recipe.guard is not None:
        yield Problem("guard", f"{whole}: give null, or the strategy ddp")
    if recipe.trainer.gradient_clip_val:
        yield Problem("trainer.gradient_clip_val", f"{whole}: give null, or the strategy ddp")


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
    if losses.balancer is not None and recipe.trainer.precision in ("16-mixed", "16-true"):
        yield Problem(
            "losses.balancer",
            f"gradients of each loss get too small for trainer.precision={recipe.trainer.precision}"
            ": give bf16-mixed or 32-true",
        )
    if schedule.alternate and recipe.discriminator is None:
        yield Problem(
            "schedule.alternate", "there is no discriminator to alternate with: give false"
        )
    bottleneck = recipe.model.bottleneck
    if schedule.noise_warmup_steps and (bottleneck is None or bottleneck.type != "vae"):
        yield Problem(
            "schedule.noise_warmup_steps", "needs a model.bottleneck of type 'vae': give 0"
        )
    if schedule.noise_warmup_steps and recipe.engine != "zoo":
        yield Problem(
            "schedule.noise_warmup_steps", f"needs engine 'zoo', not '{recipe.engine}': give 0"
        )
    decoder_learns = "decoder" not in recipe.freeze and recipe.model.decoder.requires_grad
    if schedule.freeze_encoder_at is not None and not decoder_learns:
        yield Problem("schedule.freeze_encoder_at", "leaves nothing to train: no decoder learns")


def _of_watching(recipe: AnyRecipe) -> Iterator[Problem]:
    if "pesq" in recipe.metrics and recipe.sample_rate < PESQ_RATE:
        yield Problem("metrics", f"pesq needs a sample_rate of {PESQ_RATE} Hz or more")
    for key in ("checkpoints", "early_stopping"):
        section: CheckpointsConfig | EarlyStoppingConfig | None = getattr(recipe, key)
        if section is None:
            continue
        yield from _within(key, section.contradictions())
        if section.monitor == "val/pesq" and "pesq" not in recipe.metrics:
            yield Problem(f"{key}.monitor", "val/pesq is logged with metrics=[pesq] only")
    if recipe.early_stopping is not None and recipe.trainer.limit_val_batches == 0:
        yield Problem("early_stopping", "trainer.limit_val_batches is 0: nothing is validated")
    if recipe.logger.artifacts and recipe.logger.type != "wandb":
        yield Problem("logger.artifacts", "only where logger.type is wandb")


def _updates(recipe: AnyRecipe, network: str) -> int:
    """How many updates a network will have had at the end of the run, at most; -1: no end."""
    steps = recipe.trainer.max_steps
    if isinstance(recipe, DiffusionRecipeConfig):
        return steps
    judge = recipe.discriminator
    if judge is None:
        return 0 if network == "discriminator" else steps
    if steps < 0 or not recipe.schedule.alternate:
        return steps
    odd = judge.updates_in_turns(steps)
    return odd if network == "discriminator" else steps - odd


def _within(path: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    return (Problem(f"{path}.{problem.path}", problem.message) for problem in problems)
