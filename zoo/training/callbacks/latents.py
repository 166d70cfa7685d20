"""What validation's latents look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from torch import Tensor

from zoo.evaluation.latents import LatentMoments
from zoo.evaluation.plots import latents_figure, write_png
from zoo.training.callbacks.validated import ValidationCallback
from zoo.training.module import Reconstruction
from zoo.training.shown import show_image, step_folder


class Latents(ValidationCallback):
    """At each validation, logs five numbers and draws the principal components.

    - `latent/mean`, `latent/std`, `latent/kurtosis`: means over the channels, of the absolute mean,
      the standard deviation, and the kurtosis where a channel is not constant (3: normal);
    - `latent/dead`: share of the channels that hardly vary;
    - `latent/effective_dimensions`: of the principal components' variances.

    Args:
        folder: gets `step-000100/latents.png`.
        sample_rate: Hz.
    """

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self.folder = folder
        self.sample_rate = sample_rate
        self._moments = LatentMoments()
        self._clip: Tensor | None = None
        self._seconds = 0.0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._moments = LatentMoments()
        self._clip = None

    def see(
        self,
        trainer: Trainer,
        module: LightningModule,
        reconstruction: Reconstruction,
        batch_index: int,
    ) -> None:
        latents = reconstruction.latents
        if len(latents) == 0:
            return
        self._moments.add(latents)
        if self._clip is None:
            self._clip = latents[0].cpu()
            self._seconds = reconstruction.reals.shape[-1] / self.sample_rate

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._clip is None:
            return

        def reduced(sums: Tensor) -> Tensor:
            if trainer.world_size == 1:
                return sums
            total: Any = trainer.strategy.reduce(sums.to(pl_module.device), reduce_op="sum")
            return total.cpu()

        found = self._moments.statistics(reduced)
        if found is None:
            return
        facts = {
            "mean": found.mean.abs().mean(),
            "std": found.std.mean(),
            "kurtosis": found.kurtosis.nanmean(),
            "dead": found.dead.double().mean(),
            "effective_dimensions": found.effective_dimensions,
        }
        values = {f"latent/{name}": float(value) for name, value in facts.items()}
        pl_module.log_dict(values, sync_dist=True)
        if trainer.is_global_zero and not trainer.sanity_checking:
            figure = latents_figure(found, self._clip, self._seconds)
            file = write_png(figure, step_folder(self.folder, trainer) / "latents.png")
            show_image(trainer, "examples/latents", file)
