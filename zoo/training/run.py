"""A training run from its recipe to its folder."""

from __future__ import annotations

import logging
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only

from zoo.checkpoints.files import LAST
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.recipe import AnyRecipe, RecipeConfig
from zoo.config.resolve import RECIPE_FILE, write_recipe
from zoo.data.messages import say
from zoo.data.module import AudioDataModule
from zoo.errors import AudioError, CheckpointError, TrainingError
from zoo.evaluation.speech import require_pesq
from zoo.training.build import build_module
from zoo.training.build_callbacks import build_callbacks
from zoo.training.callbacks.interruption import InterruptionError
from zoo.training.callbacks.speed import DataWait
from zoo.training.checkpoint_io import WholeCheckpoints
from zoo.training.loggers import build_loggers, check_logger, upload_checkpoints
from zoo.training.memory import settled
from zoo.training.ranks import folder_of_first

_FOLDER = "ZOO_RUN_FOLDER"


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run: its folder, and how many updates it has made in all."""

    folder: Path
    steps: int
    interrupted: bool

    @property
    def last_checkpoint(self) -> Path:
        return self.folder / LAST


def train(recipe: AnyRecipe, resume: Path | None = None) -> Run:
    """Trains a recipe in a new run folder, or goes on in the folder `resume`.

    Raises:
        TrainingError, AudioError, CheckpointError, ConfigError: before the first step.
        TrainingError: when updates are no longer finite, whatever the guard tries.
    """
    _quieten()
    check_logger(recipe)
    if "pesq" in recipe.metrics:
        require_pesq("metrics: ")
    folder = resume or _shared_folder(recipe)
    checkpoint = None if resume is None else _checked(folder / LAST, recipe)
    recipe = settled(recipe)
    seed_everything(recipe.seed, verbose=False)
    module = build_module(recipe, resumed=resume is not None)
    model: Any = module.model
    data = AudioDataModule(
        recipe.data,
        sample_rate=recipe.sample_rate,
        channels=max(model.in_channels, model.out_channels),
        seed=recipe.seed,
    )
    data.setup()
    trainer = _trainer(recipe, folder)
    if resume is None and (first := folder_of_first(trainer, folder)) != folder:
        folder, trainer = first, _trainer(recipe, first)
    _open(folder, recipe)
    trainer.loggers = build_loggers(recipe, folder)
    interrupted = False
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        trainer.save_checkpoint(folder / LAST)
    except InterruptionError:
        interrupted = True
    except AudioError as error:
        # From a loader process it arrives with that process's traceback in front.
        raise AudioError(str(error).splitlines()[-1].rpartition("AudioError: ")[2]) from None
    finally:
        os.environ.pop(_FOLDER, None)
    if recipe.logger.artifacts:
        upload_checkpoints(trainer.loggers, folder)
    if module.guard is not None and module.guard.skipped:
        say(f"{module.guard.skipped} updates were left out, since they were not finite")
    if interrupted:
        resume_it = f"zoo train resume={quote(str(folder))}"
        say(f"stopped at step {trainer.global_step}; go on with: {resume_it}")
    else:
        say(f"{trainer.global_step} steps done: {folder / LAST}")
        say(f"use it: zoo encode audio.wav --model {quote(str(folder))}")
    return Run(folder, trainer.global_step, interrupted)


def new_folder(recipe: AnyRecipe) -> Path:
    """A folder that does not exist yet: runs/<recipe>/<time>."""
    start = time.strftime("%Y-%m-%d_%H-%M-%S")
    folder = Path(recipe.runs) / recipe.name / start
    count = 1
    while folder.exists():
        count += 1
        folder = folder.with_name(f"{start}_{count}")
    return folder


def _shared_folder(recipe: AnyRecipe) -> Path:
    """A new folder; processes that Lightning starts for more devices get that of the first."""
    if rank_zero_only.rank > 0 and _FOLDER in os.environ:
        return Path(os.environ[_FOLDER])
    folder = new_folder(recipe)
    os.environ[_FOLDER] = str(folder)
    return folder


@rank_zero_only
def _open(folder: Path, recipe: AnyRecipe) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_recipe(recipe, folder / RECIPE_FILE)
    say(f"run folder: {folder}")


def _checked(path: Path, recipe: AnyRecipe) -> Path:
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file, so there is nothing to resume from; it is written every "
            f"checkpoints.every_n_steps = {recipe.checkpoints.every_n_steps} steps"
        )
    done = read_ckpt(path).get("global_step", 0)
    if 0 <= recipe.trainer.max_steps <= done:
        raise TrainingError(
            f"{path.parent.parent}: already at step {done}; train on with trainer.max_steps=…"
        )
    say(f"going on from step {done}")
    return path


def _trainer(recipe: AnyRecipe, folder: Path) -> Trainer:
    config = recipe.trainer
    devices = list(config.devices) if isinstance(config.devices, tuple) else config.devices
    try:
        return _lightning_trainer(recipe, folder, devices)
    except (MisconfigurationException, ValueError, TypeError, ImportError, RuntimeError) as error:
        # Lightning's own words: no such accelerator or device on this machine.
        raise TrainingError(f"trainer: {str(error).splitlines()[0]}") from None


def _lightning_trainer(recipe: AnyRecipe, folder: Path, devices: list[int] | int | str) -> Trainer:
    config = recipe.trainer
    # Lightning counts batches here.
    batches = config.accumulate_grad_batches
    return Trainer(
        accelerator=config.accelerator,
        devices=devices,
        num_nodes=config.num_nodes,
        strategy=_strategy(recipe),
        precision=config.precision,  # type: ignore[arg-type]
        max_steps=config.max_steps,
        max_epochs=-1,
        max_time=config.max_time,
        val_check_interval=config.val_check_interval * batches,
        check_val_every_n_epoch=None,
        limit_val_batches=config.limit_val_batches,
        log_every_n_steps=config.log_every_n_steps * batches,
        deterministic=config.deterministic,
        benchmark=config.benchmark,
        detect_anomaly=config.detect_anomaly,
        profiler=config.profiler or DataWait(),
        plugins=WholeCheckpoints(),
        logger=False,
        callbacks=build_callbacks(recipe, folder),
        default_root_dir=folder,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=config.enable_progress_bar,
    )


def _strategy(recipe: AnyRecipe) -> str:
    """Under DDP, weights that a backward pass does not reach have to be looked for.

    Each of the two backward passes leaves the other network out, a frozen encoder is left out, and
    a diffusion network may have weights for conditions that no autoencoder has.

    Lightning runs the training step inside DDP's own forward and announces each `manual_backward`
    to it, so every backward pass averages the gradients while it computes them, before they are
    clipped. Price: each of two sends zeros for the other network too. Averaging by hand would send
    half as much, but only after the backward pass.
    """
    config = recipe.trainer
    single = config.devices in (1, "1") and config.num_nodes == 1
    if config.devices == "auto":
        single = torch.cuda.device_count() <= 1 and config.num_nodes == 1
    whole = (
        isinstance(recipe, RecipeConfig)
        and recipe.discriminator is None
        and recipe.schedule.freeze_encoder_at is None
    )
    if whole or single or config.strategy not in ("auto", "ddp"):
        return config.strategy
    return "ddp_find_unused_parameters_true"


def _quieten() -> None:
    """Lightning's notes on what the recipe has decided already."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*module.s. in eval mode.*",
        ".*treespec, LeafSpec.*",
        ".*no pre-optimization state was saved.*",
        ".*exists and is not empty.*",
        ".*callbacks used to create the checkpoint.*",
    ):
        warnings.filterwarnings("ignore", text)
