"""Goes back to a good state when updates are no longer finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from zoo.data.messages import say
from zoo.errors import TrainingError
from zoo.training.callbacks.averaged_weights import AveragedWeights


class Rollback(Callback):
    """Keeps a copy of weights, optimisers and averages in CPU memory, and restores it when the
    module's guard gives up, or weights or buffers are not finite themselves.

    Steps, schedules and data go on from where they are. It has to follow `AveragedWeights`.

    Args:
        checkpoint: gets the copy before the run ends, so that what is there is good.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        self.checkpoint = checkpoint
        self._copy: dict[str, Any] = {}
        self._step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._keep(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        guard: Any = pl_module.guard
        if pl_module.held:
            return
        if guard.is_skipping:
            if guard.gives_up or not _is_finite(pl_module.state_dict()):
                self._go_back(trainer, pl_module)
        elif trainer.global_step - self._step >= guard.config.copy_every_n_steps:
            self._keep(trainer, pl_module)
            guard.rollbacks = 0

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Nothing comes after the last update to show what it did.
        if not _is_finite(pl_module.state_dict()):
            self._restore(trainer, pl_module)
            self._end(trainer, pl_module)

    def _keep(self, trainer: Trainer, module: LightningModule) -> None:
        state = {
            "module": module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
            "averages": [callback.average for callback in _averages(trainer)],
        }
        self._copy = apply_to_collection(state, Tensor, _on_cpu)
        self._step = trainer.global_step

    def _go_back(self, trainer: Trainer, module: LightningModule) -> None:
        guard: Any = module.guard
        self._restore(trainer, module)
        if guard.rollbacks == guard.config.max_rollbacks:
            self._end(trainer, module)
        guard.slow_down()
        say(
            f"updates are not finite at step {trainer.global_step}: back to the weights of step "
            f"{self._step}, with {guard.factor:g} of the learning rate"
        )

    def _restore(self, trainer: Trainer, module: LightningModule) -> None:
        # What is restored must not share memory with the copy.
        state = apply_to_collection(self._copy, Tensor, torch.clone)
        module.load_state_dict(state["module"])
        for optimizer, saved in zip(trainer.optimizers, state["optimizers"], strict=True):
            # The rates belong to the schedule.
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({**saved, "param_groups": groups})
        for callback, saved in zip(_averages(trainer), state["averages"], strict=True):
            for key, value in saved.items():
                callback.average[key].copy_(value)

    def _end(self, trainer: Trainer, module: Any) -> None:
        step, tried, kept = trainer.global_step, module.guard.rollbacks, ""
        if self.checkpoint is not None:
            # Who goes on from it with other settings has all tries again.
            module.guard.begin_anew()
            trainer.save_checkpoint(self.checkpoint)
            kept = f"; {self.checkpoint} holds that state"
        raise TrainingError(
            f"loss, gradient or weights are not finite at step {step}, after going back to the "
            f"weights of step {self._step} {tried} times{kept}. Try a lower learning rate, "
            "trainer.gradient_clip_val=1, a longer warmup_steps or trainer.precision=bf16-mixed "
            "or 32-true, and look for broken files in the data"
        )


def _averages(trainer: Trainer) -> list[AveragedWeights]:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, AveragedWeights)]


def _on_cpu(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True)


def _is_finite(state: Any) -> bool:
    flags: list[Tensor] = []
    apply_to_collection(state, Tensor, lambda value: flags.append(value.isfinite().all().cpu()))
    return bool(torch.stack(flags).all())
