"""What the LightningModules of all models share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.checkpoints.files import CONFIG_KEY
from zoo.config.recipe import AnyRecipe
from zoo.data.module import AudioDataModule
from zoo.evaluation.metrics import measure
from zoo.training.objective import Objective, Term
from zoo.training.ranks import Means, mean_over_ranks

Configure = Callable[[nn.Module], tuple[Optimizer, Any]]


@dataclass(frozen=True)
class Reconstruction:
    """One batch through the model: audio (batch, channels, samples), latents (…, frames)."""

    reals: Tensor
    decoded: Tensor
    latents: Tensor
    info: dict[str, Any]


class ModelModule(LightningModule):
    """Optimises, validates and saves a model. A batch is (batch, channels, samples).

    Args:
        model: ours or upstream's.
        objective: reconstruction and bottleneck losses.
        configure: gives a network's optimiser and learning-rate schedule (or None), by its name.
        recipe: written into the checkpoint; its `trainer.gradient_clip_val` is applied here.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        configure: dict[str, Configure],
        recipe: AnyRecipe,
    ) -> None:
        super().__init__()
        # Lightning clips and accumulates for one optimiser only.
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.configure = configure
        self.recipe = recipe
        self.validated = Means()

    @property
    def updates(self) -> int:
        """How often the model has been updated."""
        return self.global_step

    def networks(self) -> list[tuple[str, nn.Module]]:
        """What is trained, each with its name in the recipe's `optimizers`."""
        return [("autoencoder", self.model)]

    def configure_optimizers(self) -> Any:
        pairs = [self.configure[name](network) for name, network in self.networks()]
        schedulers = [scheduler for _, scheduler in pairs if scheduler is not None]
        return [optimizer for optimizer, _ in pairs], schedulers

    def on_train_start(self) -> None:
        for part in self.recipe.freeze:
            getattr(self.model, part).eval()

    def reconstruct(self, audio: Tensor, batch_index: int) -> Reconstruction:
        """Encodes and decodes a batch; input and output come back equally long."""
        raise NotImplementedError

    def validation_step(self, audio: Tensor, batch_index: int) -> Reconstruction:
        reconstruction = self.reconstruct(audio, batch_index)
        rate = self.recipe.sample_rate
        own = len(audio) - self._repeated(batch_index, len(audio))
        # Where all are repeated, one is measured and counts nothing.
        decoded, reals = (
            x[: own or 1].float() for x in (reconstruction.decoded, reconstruction.reals)
        )
        metrics = measure(decoded, reals, rate)
        values = {"si_sdr": metrics.si_sdr_db, "mel": metrics.mel, "stft": metrics.stft}
        self.validated.add({f"val/{name}": value for name, value in values.items()}, own)
        return reconstruction

    def on_validation_epoch_end(self) -> None:
        # All processes have the same values by now; `sync_dist` keeps Lightning from warning.
        self.log_dict(self.validated.compute(self.device), batch_size=1, sync_dist=True)

    def _repeated(self, batch_index: int, size: int) -> int:
        """How many clips at the end of a validation batch another process counts."""
        data = getattr(self.trainer, "datamodule", None)
        return data.repeated(batch_index, size) if isinstance(data, AudioDataModule) else 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CONFIG_KEY] = self.recipe.container().to_dict()

    def update_model(
        self, losses: dict[str, Term], latents: Tensor, descent: Tensor | None = None
    ) -> None:
        """One step of the model's weights down `descent`, or the weighted sum of `losses`."""
        loss = torch.stack([term.weighted for term in losses.values()]).sum()
        optimizer = self.all_optimizers()[0]
        rate = optimizer.param_groups[0]["lr"]
        optimizer.zero_grad()
        self.manual_backward(loss if descent is None else descent)
        self.clip(self.model, optimizer.optimizer)
        optimizer.step()
        self.advance(optimizer.optimizer)
        values: dict[str, Any] = {
            f"train/{name}": term.value.detach() for name, term in losses.items()
        }
        values |= {"train/loss": loss.detach(), "train/latent_std": latents.detach().std()}
        values = mean_over_ranks(values)
        self.log("train/loss", values.pop("train/loss"), prog_bar=True)
        weights = {f"weight/{name}": term.weight for name, term in losses.items() if term.decays}
        self.log_dict({**values, **weights, "lr": rate})

    def clip(self, network: nn.Module, optimizer: Optimizer) -> None:
        """Limits the norm of a network's gradient, if the recipe says so."""
        limit = self.recipe.trainer.gradient_clip_val
        if limit:
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            if scaler is not None:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), limit)

    def advance(self, optimizer: Optimizer) -> None:
        """The schedule of `optimizer`, if it has one."""
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            if scheduler.optimizer is optimizer:
                scheduler.step()  # type: ignore[call-arg]

    def all_optimizers(self) -> list[LightningOptimizer]:
        """One for each of `networks`, in order."""
        optimizers = self.optimizers()
        return cast(
            list[LightningOptimizer], optimizers if isinstance(optimizers, list) else [optimizers]
        )
