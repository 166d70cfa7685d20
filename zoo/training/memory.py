"""Whether a training step fits into memory, decided before the first one."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from zoo.config.recipe import AnyRecipe, RecipeConfig
from zoo.config.trainer import TrainerConfig
from zoo.data.messages import say
from zoo.evaluation.cost import FLOAT_BYTES, WEIGHT_COPIES, kept_bytes, training_bytes
from zoo.factory import create_model_from_config
from zoo.training.build import build_discriminator
from zoo.training.build_losses import build_objective

_MEMINFO = Path("/proc/meminfo")
_GIB = 2**30


def settled(recipe: AnyRecipe, free: int | None = None) -> AnyRecipe:
    """`recipe` with `checkpointing` "on" or "off" where it is "auto"; says so where it is "on".

    Args:
        free: bytes that are free; found out if `None`.
    """
    if recipe.checkpointing != "auto":
        return recipe
    off = recipe.replace(checkpointing="off")
    free = free_bytes(recipe.trainer) if free is None else free
    if recipe.engine != "zoo" or free is None:
        return off
    needed = step_bytes(recipe)
    if needed <= free:
        return off
    say(
        f"a training step takes about {needed / _GIB:.1f} GiB and {free / _GIB:.1f} are free: "
        "activations are computed twice to save memory (checkpointing=off keeps them)"
    )
    return recipe.replace(checkpointing="on")


def free_bytes(trainer: TrainerConfig) -> int | None:
    """Of this process's GPU, else of the machine; None where the system doesn't say."""
    if _is_on_gpu(trainer):
        number = int(os.environ.get("LOCAL_RANK", 0))
        devices = trainer.devices
        return torch.cuda.mem_get_info(devices[number] if isinstance(devices, tuple) else number)[0]
    if not _MEMINFO.is_file():
        return None
    facts = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    return int(facts["MemAvailable"].split()[0]) * 1024


def step_bytes(recipe: AnyRecipe) -> int:
    """An estimate of the most memory that tensors take in a step without checkpointing.

    Weights, gradients, Adam's moments and averaged weights; what the model, its losses and the
    discriminator keep for the backward pass. Nothing is computed: tensors have shapes alone. The
    workspace of kernels and losses of other networks (semantic, teacher) come on top.
    """
    with torch.device("meta"):
        model = create_model_from_config(recipe.container())
    batch, samples = recipe.data.batch_size, recipe.data.segment_samples
    size = _activation_scale(recipe)
    weights = sum(weight.numel() for weight in model.parameters())
    total = WEIGHT_COPIES * FLOAT_BYTES * weights
    total += int(size * (training_bytes(model, batch, samples) - total))
    if recipe.ema is not None:
        total += FLOAT_BYTES * weights
    if recipe.guard is not None and not _is_on_gpu(recipe.trainer):
        # Its copy, which lies in the machine's memory.
        total += WEIGHT_COPIES * FLOAT_BYTES * weights
    if not isinstance(recipe, RecipeConfig):
        return total
    audio = torch.empty(batch, model.out_channels, samples, device="meta")
    decoded = audio.clone().requires_grad_()
    losses = recipe.losses.model_copy(update={"semantic": None})
    # Made first and moved then: filters that are shared between networks have to keep values.
    objective = build_objective(recipe.model_copy(update={"losses": losses})).to("meta")
    total += kept_bytes(lambda: objective(decoded, audio, {}))
    if recipe.discriminator is not None:
        judge = build_discriminator(recipe.discriminator, audio.shape[1], recipe.sample_rate)
        total += WEIGHT_COPIES * FLOAT_BYTES * sum(weight.numel() for weight in judge.parameters())
        judge = judge.to("meta")
        # Features of reals, those of fakes, and their difference.
        size = 1.0 if recipe.discriminator.float32 and size < 1 else size
        total += 3 * int(size * kept_bytes(lambda: judge(decoded)))
    return total


def _is_on_gpu(trainer: TrainerConfig) -> bool:
    return trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def _activation_scale(recipe: AnyRecipe) -> float:
    """Bytes of an activation, relative to float32."""
    precision = str(recipe.trainer.precision)
    if "16" in precision:
        return 0.5
    return 2.0 if "64" in precision else 1.0
