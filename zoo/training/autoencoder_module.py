"""The LightningModule of a standard autoencoder."""

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
from zoo.config.recipe import RecipeConfig
from zoo.data.resample import fit_channels
from zoo.evaluation.metrics import measure
from zoo.training.adversary import Adversary
from zoo.training.objective import Objective

Configure = Callable[[nn.Module], tuple[Optimizer, Any]]


@dataclass(frozen=True)
class Reconstruction:
    """One batch through the model: audio (batch, channels, samples), latents (…, frames)."""

    reals: Tensor
    decoded: Tensor
    latents: Tensor
    info: dict[str, Any]


class AutoencoderModule(LightningModule):
    """Trains an `AudioAutoencoder`, ours or upstream's, with or without an adversary.

    Each batch updates the discriminator, then the autoencoder, from one forward pass. A batch is
    (batch, channels, samples). `trainer.global_step` counts updates of the autoencoder.

    Args:
        model: the autoencoder.
        objective: reconstruction and bottleneck losses.
        adversary: discriminator and its losses, or None.
        configure: gives a network's optimiser and learning-rate schedule (or None), by its name.
        recipe: written into the checkpoint; its `trainer.gradient_clip_val` is applied here.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        adversary: Adversary | None,
        configure: dict[str, Configure],
        recipe: RecipeConfig,
    ) -> None:
        super().__init__()
        # Lightning clips and accumulates for one optimiser only.
        self.automatic_optimization = False
        self.model = model
        self.objective = objective
        self.adversary = adversary
        self.configure = configure
        self.recipe = recipe

    def configure_optimizers(self) -> Any:
        networks: list[tuple[str, nn.Module]] = [("autoencoder", self.model)]
        if self.adversary is not None:
            networks.append(("discriminator", self.adversary.discriminator))
        pairs = [self.configure[name](network) for name, network in networks]
        schedulers = [scheduler for _, scheduler in pairs if scheduler is not None]
        return [optimizer for optimizer, _ in pairs], schedulers

    def training_step(self, audio: Tensor, batch_index: int) -> None:
        reconstruction = self.reconstruct(audio)
        if self.adversary is not None and self.adversary.learns(self.global_step):
            self._update_discriminator(self.adversary, reconstruction)
        self._update_autoencoder(reconstruction)

    def validation_step(self, audio: Tensor, batch_index: int) -> Reconstruction:
        reconstruction = self.reconstruct(audio)
        rate = self.recipe.sample_rate
        metrics = measure(reconstruction.decoded.float(), reconstruction.reals.float(), rate)
        values = {"si_sdr": metrics.si_sdr_db, "mel": metrics.mel, "stft": metrics.stft}
        self.log_dict(
            {f"val/{name}": value for name, value in values.items()},
            batch_size=len(audio),
            sync_dist=True,
        )
        return reconstruction

    def reconstruct(self, audio: Tensor) -> Reconstruction:
        """Encodes and decodes a batch; input and output come back equally long."""
        latents, info = self.model.encode(  # type: ignore[operator]
            fit_channels(audio, self.model.in_channels),  # type: ignore[arg-type]
            return_info=True,
        )
        decoded = self.model.decode(latents)  # type: ignore[operator]
        reals = fit_channels(audio, decoded.shape[1])
        # upstream's odd strides give fewer samples than they were given.
        samples = min(decoded.shape[-1], reals.shape[-1])
        return Reconstruction(reals[..., :samples], decoded[..., :samples], latents, info)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CONFIG_KEY] = self.recipe.container().to_dict()

    def _update_discriminator(self, adversary: Adversary, batch: Reconstruction) -> None:
        loss = adversary.discriminator_loss(batch.reals, batch.decoded.detach())
        optimizer = self._optimizers()[1].optimizer
        optimizer.zero_grad()
        self.manual_backward(loss)
        self._clip(adversary.discriminator, optimizer)
        # The strategy's own call: a LightningOptimizer would advance `global_step` twice a batch.
        self.trainer.strategy.optimizer_step(optimizer, closure=_nothing)
        self._advance(optimizer)
        self.log("train/discriminator", loss.detach(), prog_bar=True)

    def _update_autoencoder(self, batch: Reconstruction) -> None:
        losses = self.objective(batch.decoded, batch.reals, batch.info)
        if self.adversary is not None and self.adversary.judges(self.global_step):
            losses |= self.adversary.generator_losses(batch.reals, batch.decoded)
        loss = torch.stack([term.weighted for term in losses.values()]).sum()
        optimizer = self._optimizers()[0]
        rate = optimizer.param_groups[0]["lr"]
        optimizer.zero_grad()
        self.manual_backward(loss)
        self._clip(self.model, optimizer.optimizer)
        optimizer.step()
        self._advance(optimizer.optimizer)
        values = {f"train/{name}": term.value.detach() for name, term in losses.items()}
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log_dict({**values, "train/latent_std": batch.latents.detach().std(), "lr": rate})

    def _clip(self, network: nn.Module, optimizer: Optimizer) -> None:
        limit = self.recipe.trainer.gradient_clip_val
        if limit > 0:
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            if scaler is not None:
                scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), limit)

    def _advance(self, optimizer: Optimizer) -> None:
        """The schedule of `optimizer`, if it has one."""
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            if scheduler.optimizer is optimizer:
                scheduler.step()  # type: ignore[call-arg]

    def _optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return cast(
            list[LightningOptimizer], optimizers if isinstance(optimizers, list) else [optimizers]
        )


def _nothing() -> None:
    return None
