"""The LightningModule of a standard autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.config.recipe import RecipeConfig
from zoo.data.resample import fit_channels
from zoo.training.adversary import Adversary, Verdict
from zoo.training.balancer import Balancer
from zoo.training.module import Configure, ModelModule, Reconstruction
from zoo.training.objective import Objective
from zoo.training.teacher import Teacher


@dataclass(frozen=True)
class _Pass(Reconstruction):
    """Also what was encoded (batch, channels, samples) and decoded (batch, latent, frames)."""

    heard: Tensor
    sent: Tensor


class AutoencoderModule(ModelModule):
    """Trains an `AudioAutoencoder`, ours or upstream's, with or without an adversary.

    Each batch is encoded, decoded and judged once; then both networks are updated, each by the
    gradient at the weights that the other had before.
    `trainer.global_step` counts updates of the autoencoder. With `schedule.alternate` each batch
    updates one of the two, and `global_step` counts both.

    Args:
        adversary: discriminator and its losses, or None.
        teacher: gives losses of its own, or None.
        balancer: shares out the gradient at the output, or None.
        model, objective, configure, recipe: as of `ModelModule`.
    """

    recipe: RecipeConfig

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        adversary: Adversary | None,
        configure: dict[str, Configure],
        recipe: RecipeConfig,
        teacher: Teacher | None = None,
        balancer: Balancer | None = None,
    ) -> None:
        super().__init__(model, objective, configure, recipe)
        self.adversary = adversary
        self.teacher = teacher
        self.balancer = balancer

    @property
    def updates(self) -> int:
        step = self.global_step
        if self.adversary is None or not self.recipe.schedule.alternate:
            return step
        return step - self.adversary.config.updates_in_turns(step)

    def networks(self) -> list[tuple[str, nn.Module]]:
        if self.adversary is None:
            return super().networks()
        return [*super().networks(), ("discriminator", self.adversary.discriminator)]

    def learn(self, audio: Tensor) -> None:
        step, schedule = self.global_step, self.recipe.schedule
        judge_learns = self.adversary is not None and self.adversary.learns(step)
        if schedule.alternate:
            judge_learns = judge_learns and step % 2 == 1
        model_learns = not (schedule.alternate and judge_learns)

        with torch.set_grad_enabled(model_learns):
            batch = self._through(audio, learns=True)
        self.note_tokens(batch.info)
        verdict = Verdict(None, {})
        judges = model_learns and self.adversary is not None and self.adversary.judges(step)
        if self.adversary is not None and (judge_learns or judges):
            verdict = self.adversary.verdict(
                batch.reals, batch.decoded, learns=judge_learns, judges=judges
            )
        if model_learns:
            update = self.updates
            losses = self.objective(batch.decoded, batch.reals, batch.info, update)
            if self.teacher is not None:
                losses |= self.teacher(self.model, batch, batch.heard, batch.sent, update)
            losses |= verdict.generator
            descent = self.balancer and self.balancer(losses, batch.decoded)
            self.learn_model(losses, batch.latents, descent)
        if verdict.discriminator is not None:
            loss = verdict.discriminator
            self.gather("discriminator", loss, {"train/discriminator": loss.detach()})

    def reconstruct(self, audio: Tensor, batch_index: int) -> Reconstruction:
        return self._through(audio)

    def _through(self, audio: Tensor, learns: bool = False) -> _Pass:
        """A batch encoded and decoded; the schedule changes how, where the model `learns`."""
        schedule = self.recipe.schedule
        frozen = learns and self._is_encoder_frozen()
        heard = audio.mean(1, keepdim=True) if schedule.force_mono else audio
        heard = fit_channels(heard, self.model.in_channels)  # type: ignore[arg-type]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            latents, info = self.model.encode(heard, return_info=True)  # type: ignore[operator]
        if learns and self.updates < schedule.noise_warmup_steps:
            latents = torch.lerp(info["mean"], latents, self.updates / schedule.noise_warmup_steps)
        sent = latents
        if learns and schedule.latent_mask > 0:
            sent = latents.masked_fill(torch.rand_like(latents) < schedule.latent_mask, 0)
        decoded = self.model.decode(sent)  # type: ignore[operator]
        reals = fit_channels(audio, decoded.shape[1])
        # upstream's odd strides give fewer samples than they were given.
        samples = min(decoded.shape[-1], reals.shape[-1])
        return _Pass(reals[..., :samples], decoded[..., :samples], latents, info, heard, sent)

    def _is_encoder_frozen(self) -> bool:
        first = self.recipe.schedule.freeze_encoder_at
        return first is not None and self.global_step >= first

    def counts(self, name: str) -> bool:
        return super().counts(name) or self.recipe.schedule.alternate
