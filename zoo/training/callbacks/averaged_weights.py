"""An exponential moving average of the autoencoder's weights."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from zoo.checkpoints.files import EMA_KEY


class AveragedWeights(Callback):
    """Averages `module.model` after each update; validation runs on the average.

    The decay of update n is min(beta, 1 - (n - 1)^-power), and 0 for the first two: the random
    weights of the start leave no trace. The checkpoint holds the average once, under its own
    key, beside the online weights.

    Source: ema-pytorch with `update_after_step=1`, as stable_audio_tools/training/autoencoders.py
    sets it.
    """

    def __init__(self, beta: float = 0.9999, power: float = 0.75) -> None:
        self.beta = beta
        self.power = power
        self.average: dict[str, Tensor] = {}
        self._online: dict[str, Tensor] = {}
        self._updates = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state = pl_module.model.state_dict()  # type: ignore[operator]
        restored = self.average or state
        self.average = {key: restored[key].detach().to(state[key]).clone() for key in state}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        updates: int = pl_module.updates  # type: ignore[assignment]
        if updates == self._updates:
            return
        self._updates = updates
        decay = min(self.beta, 1 - max(1, self._updates - 1) ** -self.power)
        self._update(pl_module.model.state_dict(), decay)  # type: ignore[operator]

    @torch.no_grad()
    def _update(self, state: dict[str, Tensor], decay: float) -> None:
        floating = [key for key, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_(  # pyright: ignore
            [self.average[key] for key in floating], [state[key] for key in floating], 1 - decay
        )
        for key in state.keys() - set(floating):
            self.average[key].copy_(state[key])

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state = pl_module.model.state_dict()  # type: ignore[operator]
        self._online = {key: value.clone() for key, value in state.items()}
        self._copy(self.average, state)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._copy(self._online, pl_module.model.state_dict())  # type: ignore[operator]
        self._online = {}

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if self._online:
            self.on_validation_end(trainer, pl_module)

    @torch.no_grad()
    def _copy(self, source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
        for key, value in target.items():
            value.copy_(source[key])

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[EMA_KEY] = self.average

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.average = checkpoint.get(EMA_KEY, {})

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self._updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._updates = state_dict["updates"]
