"""The inverse decay of the learning rate."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class InverseLR(LRScheduler):
    """lr · (1 - warmup^(step+1)) · max(final_lr / lr, (1 + step / inv_gamma)^-power).

    Args:
        inv_gamma: steps until the rate has fallen to 2^-power.
        power: exponent of the decay.
        warmup: exponential warm-up factor, from 0 (none) to below 1.
        final_lr: the decay stops here; the warm-up still scales it.

    Source: k-diffusion's `InverseLR`; stable_audio_tools/training/utils.py.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        inv_gamma: float = 1.0,
        power: float = 1.0,
        warmup: float = 0.0,
        final_lr: float = 0.0,
    ) -> None:
        self.inv_gamma = inv_gamma
        self.power = power
        self.warmup = warmup
        self.final_lr = final_lr
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        warmup = 1 - self.warmup ** (step + 1)
        decay = (1 + step / self.inv_gamma) ** -self.power
        return [warmup * max(self.final_lr, lr * decay) for lr in self.base_lrs]
