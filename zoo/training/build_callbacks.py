"""What watches and keeps a training run."""

from __future__ import annotations

from pathlib import Path

from lightning import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from zoo.checkpoints.files import LAST
from zoo.config.recipe import AnyRecipe, RecipeConfig
from zoo.training.callbacks.alarms import Alarms
from zoo.training.callbacks.averaged_weights import AveragedWeights
from zoo.training.callbacks.best_checkpoints import BestCheckpoints
from zoo.training.callbacks.early_stopping import Plateau
from zoo.training.callbacks.examples import Examples
from zoo.training.callbacks.interruption import Interruption
from zoo.training.callbacks.latents import Latents
from zoo.training.callbacks.progress import TrainingProgress
from zoo.training.callbacks.rollback import Rollback
from zoo.training.callbacks.sample_counter import SampleCounter
from zoo.training.callbacks.seeded_steps import SeededSteps
from zoo.training.callbacks.sensitivity import Sensitivity
from zoo.training.callbacks.speech_quality import SpeechQuality
from zoo.training.callbacks.speed import Speed


def build_callbacks(recipe: AnyRecipe, folder: Path) -> list[Callback]:
    """The callbacks of a run whose files lie in `folder`, in the order in which they are asked.

    Lightning asks those that write checkpoints after all others: averages are online weights again
    by then, and every callback has seen the step.
    """
    kept, stopping = recipe.checkpoints, recipe.early_stopping
    callbacks: list[Callback] = [
        SeededSteps(recipe.seed),
        SampleCounter(),
    ]
    if "pesq" in recipe.metrics:
        callbacks.append(SpeechQuality(recipe.sample_rate))
    if recipe.ema is not None:
        callbacks.append(AveragedWeights(recipe.ema.beta, recipe.ema.power))
    if recipe.guard is not None:
        callbacks.append(Rollback(folder / LAST))
    if recipe.alarms is not None:
        callbacks.append(Alarms(recipe.alarms))
    if recipe.examples.clips > 0:
        callbacks.append(Examples(folder / "examples", recipe.examples.clips, recipe.sample_rate))
    if recipe.watch.latents:
        callbacks.append(Latents(folder / "examples", recipe.sample_rate))
    if recipe.watch.sensitivity and isinstance(recipe, RecipeConfig) and recipe.discriminator:
        callbacks.append(Sensitivity(folder / "examples", recipe.sample_rate))
    if recipe.watch.speed:
        callbacks.append(Speed(recipe.sample_rate))
    if stopping is not None:
        callbacks.append(
            Plateau(stopping.monitor, stopping.direction, stopping.patience, stopping.min_delta)
        )
    if recipe.trainer.enable_progress_bar:
        callbacks.append(TrainingProgress(recipe.sample_rate))
    return [
        *callbacks,
        Interruption(folder / LAST),
        ModelCheckpoint(
            folder / "checkpoints",
            filename="last",
            every_n_train_steps=kept.every_n_steps,
            enable_version_counter=False,
        ),
        BestCheckpoints(folder / "checkpoints", kept.monitor, kept.direction, kept.keep),
    ]
