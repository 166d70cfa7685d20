"""The LightningModule of a standard autoencoder."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.config.recipe import RecipeConfig
from zoo.data.resample import fit_channels
from zoo.training.adversary import Adversary
from zoo.training.module import Configure, ModelModule, Reconstruction
from zoo.training.objective import Objective


class AutoencoderModule(ModelModule):
    """Trains an `AudioAutoencoder`, ours or upstream's, with or without an adversary.

    Each batch updates the discriminator, then the autoencoder, from one forward pass.
    `trainer.global_step` counts updates of the autoencoder.

    Args:
        adversary: discriminator and its losses, or None.
        model, objective, configure, recipe: as of `ModelModule`.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        adversary: Adversary | None,
        configure: dict[str, Configure],
        recipe: RecipeConfig,
    ) -> None:
        super().__init__(model, objective, configure, recipe)
        self.adversary = adversary

    def networks(self) -> list[tuple[str, nn.Module]]:
        if self.adversary is None:
            return super().networks()
        return [*super().networks(), ("discriminator", self.adversary.discriminator)]

    def training_step(self, audio: Tensor, batch_index: int) -> None:
        reconstruction = self.reconstruct(audio, batch_index)
        if self.adversary is not None and self.adversary.learns(self.global_step):
            self._update_discriminator(self.adversary, reconstruction)
        losses = self.objective(reconstruction.decoded, reconstruction.reals, reconstruction.info)
        if self.adversary is not None and self.adversary.judges(self.global_step):
            losses |= self.adversary.generator_losses(reconstruction.reals, reconstruction.decoded)
        self.update_model(losses, reconstruction.latents)

    def reconstruct(self, audio: Tensor, batch_index: int) -> Reconstruction:
        latents, info = self.model.encode(  # type: ignore[operator]
            fit_channels(audio, self.model.in_channels),  # type: ignore[arg-type]
            return_info=True,
        )
        decoded = self.model.decode(latents)  # type: ignore[operator]
        reals = fit_channels(audio, decoded.shape[1])
        # upstream's odd strides give fewer samples than they were given.
        samples = min(decoded.shape[-1], reals.shape[-1])
        return Reconstruction(reals[..., :samples], decoded[..., :samples], latents, info)

    def _update_discriminator(self, adversary: Adversary, batch: Reconstruction) -> None:
        loss = adversary.discriminator_loss(batch.reals, batch.decoded.detach())
        optimizer = self.all_optimizers()[1].optimizer
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip(adversary.discriminator, optimizer)
        # The strategy's own call: a LightningOptimizer would advance `global_step` twice a batch.
        self.trainer.strategy.optimizer_step(optimizer, closure=_nothing)
        self.advance(optimizer)
        self.log("train/discriminator", loss.detach(), prog_bar=True)


def _nothing() -> None:
    return None
