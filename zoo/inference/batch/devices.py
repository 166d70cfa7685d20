"""The Lightning Trainer of a batch: where it runs, and in how many processes."""

from __future__ import annotations

import logging
import warnings
from datetime import timedelta

import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import DDPStrategy

from zoo.errors import ConfigError

# A process that is done waits for the last one. Lightning's half an hour is for updates.
_PATIENCE = timedelta(days=30)


def batch_trainer(
    device: str | torch.device = "auto", devices: str | int = "auto", num_nodes: int = 1
) -> Trainer:
    """A Trainer that predicts, with one process per device.

    Args:
        device: `auto` (GPUs if there are any), `cpu`, `cuda`, or one device such as `cuda:1`.
        devices: how many of the machine, some of them as `0,2`, or `auto`: all GPUs, one CPU.
        num_nodes: machines.

    Raises:
        ConfigError: there is no such device, or not as many.
    """
    kind, _, index = str(device).partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if index:
        if devices not in ("auto", 1, "1"):
            raise ConfigError(f"--device {device} --devices {devices}: name one of them")
        chosen: list[int] | int | str = [int(index)] if index.isdigit() and kind != "cpu" else 1
    elif devices == "auto":
        chosen = torch.cuda.device_count() if kind == "cuda" else 1
    else:
        chosen = _chosen(str(devices))
    count = chosen if isinstance(chosen, int) else len(chosen)
    # Nothing passes between the processes but the plan and the outcome: no need of NCCL.
    several = DDPStrategy(process_group_backend="gloo", timeout=_PATIENCE)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Where a process is lost, this one says so before it ends all others.
    launcher = "lightning.fabric.strategies.launchers.subprocess_script"
    logging.getLogger(launcher).setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            return Trainer(
                accelerator={"cuda": "gpu"}.get(kind, kind),
                devices=chosen,
                num_nodes=num_nodes,
                strategy="auto" if count * num_nodes == 1 else several,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        # Lightning's own words: no such device on this machine.
        raise ConfigError(
            f"--device {device} --devices {devices}: {str(error).splitlines()[0]}"
        ) from None


def _chosen(devices: str) -> list[int] | int:
    try:
        numbers = [int(number) for number in devices.split(",")]
        if min(numbers) < 0 or ("," not in devices and numbers[0] < 1):
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--devices {devices}: is a number of devices, a list such as 0,2, or auto"
        ) from None
    return numbers if "," in devices else numbers[0]
