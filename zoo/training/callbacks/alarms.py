"""Says when a run that goes on looks wrong."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from zoo.config.alarms import AlarmsConfig
from zoo.data.messages import say

# Larger codebooks can't collapse in a way that a histogram of some batches shows.
_LARGEST_CODEBOOK = 2**20


class Alarms(Callback):
    """Looks at means over some steps, and says what is out of its limits.

    Each look also logs `alarm/…`: 1 where the limit is passed, else 0. Between looks nothing is
    read from the device.

    Args:
        config: the limits.
    """

    def __init__(self, config: AlarmsConfig) -> None:
        self.config = config
        self._sums: dict[str, Tensor] = {}
        self._updates: dict[str, int] = {}
        self._counts: Tensor | None = None
        self._looked = 0
        self._said: dict[str, int] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._looked = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        self._count(pl_module)
        if pl_module.held:
            return
        latest: Any = pl_module.latest
        for name in ("train/latent_std", "train/discriminator"):
            # Taken, so that it is not counted again where the next update is left out.
            value = latest.pop(name, None)
            if value is not None:
                self._sums[name] = self._sums.get(name, 0) + value
                self._updates[name] = self._updates.get(name, 0) + 1
        if trainer.global_step - self._looked < self.config.every_n_steps:
            return
        self._looked = trainer.global_step
        if trainer.global_step >= self.config.first_step:
            self._look(trainer.global_step, pl_module)
        self._sums, self._updates, self._counts = {}, {}, None

    def _count(self, module: Any) -> None:
        """Adds the tokens of a batch (batch, quantizer, frame) to a histogram of each codebook."""
        tokens, size = module.tokens, getattr(module.model.bottleneck, "codebook_size", 0)
        if tokens is None or self.config.codebook_usage is None or size > _LARGEST_CODEBOOK:
            return
        tokens = tokens.detach().transpose(0, 1).flatten(1).long()
        if self._counts is None:
            self._counts = torch.zeros(len(tokens), size, device=tokens.device)
        if len(self._counts) == len(tokens):
            # Quantizer dropout marks what it leaves out by -1.
            known = (tokens >= 0).float()
            self._counts.scatter_add_(1, tokens.clamp(min=0), known)

    def _look(self, step: int, module: LightningModule) -> None:
        config = self.config
        spread, judge = self._mean("train/latent_std"), self._mean("train/discriminator")
        if config.latent_std is not None and spread is not None:
            low, high = config.latent_std
            advice = "a smaller losses.kl" if spread < low else "a larger losses.kl or a lower rate"
            text = f"the latents' standard deviation is {spread:.3g}, not {low:g} to {high:g}"
            self._tell(module, step, "latent_std", not low <= spread <= high, text, advice)
        if config.discriminator_loss is not None and judge is not None:
            text = f"the discriminator always wins: its loss is {judge:.3g}"
            advice = "a lower rate for it, or a larger discriminator.weights.feature_matching"
            bad = judge < config.discriminator_loss
            self._tell(module, step, "discriminator_loss", bad, text, advice)
        if config.codebook_usage is not None and self._counts is not None:
            usage = codebook_usage(self._counts).min().item()
            module.log("train/codebook_usage", usage)
            text = f"a codebook uses only {usage:.1%} of its codes"
            advice = "fewer or smaller codebooks, or a larger losses.commitment"
            bad = usage < config.codebook_usage
            self._tell(module, step, "codebook_usage", bad, text, advice)

    def _mean(self, name: str) -> float | None:
        return float(self._sums[name]) / self._updates[name] if name in self._sums else None

    def _tell(
        self, module: LightningModule, step: int, name: str, bad: bool, text: str, advice: str
    ) -> None:
        module.log(f"alarm/{name}", float(bad))
        due = step - self._said.get(name, -self.config.repeat_every_n_steps)
        if bad and due >= self.config.repeat_every_n_steps:
            self._said[name] = step
            say(f"step {step}: {text}; try {advice}")

    def state_dict(self) -> dict[str, Any]:
        return {"said": dict(self._said)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._said = dict(state_dict["said"])


def codebook_usage(counts: Tensor) -> Tensor:
    """Counts (quantizer, code) → the share of codes that occur, of those that could have."""
    possible = counts.sum(1).clamp(min=1, max=counts.shape[1])
    return (counts > 0).sum(1) / possible
