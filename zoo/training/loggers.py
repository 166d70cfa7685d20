"""Where metrics go: always a csv file, and wandb unless the recipe says otherwise."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from zoo.checkpoints.files import BEST, LAST
from zoo.config.recipe import AnyRecipe
from zoo.config.resolve import RECIPE_FILE
from zoo.data.messages import say
from zoo.errors import ConfigError


def check_logger(recipe: AnyRecipe) -> None:
    """Raises: ConfigError where the logger's package is missing."""
    if recipe.logger.type == "tensorboard" and not importlib.util.find_spec("tensorboard"):
        raise ConfigError(
            "logger.type: tensorboard needs the package of that name: "
            "pip install -e '.[tensorboard]'"
        )


def build_loggers(recipe: AnyRecipe, folder: Path) -> list[Logger]:
    """The loggers of a run whose files lie in `folder`."""
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    match recipe.logger.type:
        case "wandb":
            loggers.append(_wandb(recipe, folder))
        case "tensorboard":
            loggers.append(_tensorboard(folder))
        case "csv":
            pass
    return loggers


@rank_zero_only
def upload_checkpoints(loggers: Iterable[Logger], folder: Path) -> None:
    """Best and last checkpoint of a run, as one version of an artifact at wandb."""
    import wandb

    files = [folder / name for name in (BEST, LAST)]
    for logger in loggers:
        if not isinstance(logger, WandbLogger):
            continue
        artifact = wandb.Artifact(f"checkpoints-{logger.experiment.id}", type="model")
        for file in (*files, folder / RECIPE_FILE):
            if file.is_file():
                artifact.add_file(str(file), name=file.name)
        logger.experiment.log_artifact(artifact)


def _tensorboard(folder: Path) -> TensorBoardLogger:
    logger = TensorBoardLogger(folder, name="tensorboard")
    if rank_zero_only.rank == 0:
        text = (folder / RECIPE_FILE).read_text(encoding="utf-8")
        # Indented text is shown as it is.
        logger.experiment.add_text("recipe", "".join(f"    {line}\n" for line in text.split("\n")))
    return logger


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
