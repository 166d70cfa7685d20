"""Where metrics go: always a csv file, and wandb unless the recipe says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from zoo.config.recipe import AnyRecipe
from zoo.data.messages import say


def build_loggers(recipe: AnyRecipe, folder: Path) -> list[Logger]:
    """The loggers of a run whose files lie in `folder`."""
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    if recipe.logger.type == "wandb":
        loggers.append(_wandb(recipe, folder))
    return loggers


def _wandb(recipe: AnyRecipe, folder: Path) -> WandbLogger:
    import wandb

    mode = os.environ.get("WANDB_MODE")
    if mode is None and not wandb.login(prompt=False, verify=False):
        mode = "offline"
        say(f"no login at wandb, so it logs offline into {folder / 'wandb'}")
    logger = WandbLogger(
        project=recipe.logger.project,
        name=f"{recipe.name}-{folder.name}",
        save_dir=folder,
        # wandb has read the environment by now, so Lightning's own `offline` comes too late.
        mode=mode,
        config=recipe.to_dict(),
        settings=wandb.Settings(silent=True),
    )
    # wandb warns of this argument, which Lightning always gives.
    logger._wandb_init.pop("anonymous", None)
    return logger
