"""What the LightningModules of all models share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from zoo.checkpoints.files import CONFIG_KEY, METRICS_KEY
from zoo.config.recipe import AnyRecipe
from zoo.data.module import AudioDataModule
from zoo.evaluation.metrics import measure
from zoo.training.objective import Objective, Term
from zoo.training.ranks import Means
from zoo.training.updating import Configure, UpdatingModule


@dataclass(frozen=True)
class Reconstruction:
    """One batch through the model: audio (batch, channels, samples), latents (…, frames)."""

    reals: Tensor
    decoded: Tensor
    latents: Tensor
    info: dict[str, Any]


class ModelModule(UpdatingModule):
    """Trains, validates and saves a model. A batch is (batch, channels, samples).

    Args:
        model: ours or upstream's.
        objective: reconstruction and bottleneck losses.
        configure, recipe: as of `UpdatingModule`; the model's file is written into the checkpoint.

    Attributes:
        tokens: (batch, quantizer, frame) of the last batch, where the bottleneck is discrete.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        configure: dict[str, Configure],
        recipe: AnyRecipe,
    ) -> None:
        super().__init__(configure, recipe)
        self.model = model
        self.objective = objective
        self.validated = Means()
        self.tokens: Tensor | None = None

    @property
    def updates(self) -> int:
        """How often the model has been updated."""
        return self.global_step

    def networks(self) -> list[tuple[str, nn.Module]]:
        """What is trained, each with its name in the recipe's `optimizers`."""
        return [("autoencoder", self.model)]

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
        # What looks on counts each clip once too.
        return replace(
            reconstruction,
            reals=reconstruction.reals[:own],
            decoded=reconstruction.decoded[:own],
            latents=reconstruction.latents[:own],
        )

    def on_validation_epoch_end(self) -> None:
        # All processes have the same values by now; `sync_dist` keeps Lightning from warning.
        self.log_dict(self.validated.compute(self.device), batch_size=1, sync_dist=True)
        self.log_step()

    def _repeated(self, batch_index: int, size: int) -> int:
        """How many clips at the end of a validation batch another process counts."""
        data = getattr(self.trainer, "datamodule", None)
        return data.repeated(batch_index, size) if isinstance(data, AudioDataModule) else 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CONFIG_KEY] = self.recipe.container().to_dict()
        measured = {
            name: float(value)
            for name, value in self.trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        checkpoint[METRICS_KEY] = {
            name: value for name, value in measured.items() if isfinite(value)
        }

    def note_tokens(self, info: Mapping[str, Any]) -> None:
        """Keeps what the bottleneck says of a batch for the alarms."""
        # upstream: the axes of tokens differ from bottleneck to bottleneck.
        if self.recipe.engine == "zoo":
            self.tokens = info.get(getattr(self.model.bottleneck, "tokens_id", ""))

    def learn_model(
        self, losses: dict[str, Term], latents: Tensor, descent: Tensor | None = None
    ) -> None:
        """A batch's part in the model's update, down `descent` or the weighted sum of `losses`."""
        loss = torch.stack([term.weighted for term in losses.values()]).sum()
        values: dict[str, Any] = {"train/loss": loss.detach()}
        values |= {f"train/{name}": term.value.detach() for name, term in losses.items()}
        values |= {f"weight/{name}": term.weight for name, term in losses.items() if term.decays}
        values["train/latent_std"] = latents.detach().std()
        self.gather("autoencoder", loss if descent is None else descent, values)
