"""How noise is mixed into a signal, and what a network predicts of the mixture."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Process:
    """A diffusion process: x(t) = alpha(t) · clean + sigma(t) · noise, for t from 0 to 1.

    Times are tensors of any shape that broadcasts with the signals.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """Gain of the clean signal."""
        raise NotImplementedError

    def sigma(self, t: Tensor) -> Tensor:
        """Gain of the noise."""
        raise NotImplementedError

    def target(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network is to predict at time t."""
        raise NotImplementedError

    def clean(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """The clean signal that a prediction stands for."""
        raise NotImplementedError

    def noise(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """The noise that a prediction stands for."""
        raise NotImplementedError

    def velocity(self, prediction: Tensor) -> Tensor:
        """dx/dt along the path of clean signal and noise."""
        raise NotImplementedError

    def mix(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The noisy signal at time t."""
        return clean * self.alpha(t) + noise * self.sigma(t)


class VProcess(Process):
    """The cosine schedule; the network predicts v = alpha · noise - sigma · clean.

    Source: Salimans and Ho 2022, arXiv:2202.00512; stable_audio_tools/training/diffusion.py.
    """

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(t * math.pi / 2)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(t * math.pi / 2)

    def target(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        return noise * self.alpha(t) - clean * self.sigma(t)

    def clean(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        return noisy * self.alpha(t) - prediction * self.sigma(t)

    def noise(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        return noisy * self.sigma(t) + prediction * self.alpha(t)

    def velocity(self, prediction: Tensor) -> Tensor:
        return prediction * (math.pi / 2)


class RectifiedFlow(Process):
    """Straight paths; the network predicts noise - clean.

    Source: Liu et al. 2023, arXiv:2209.03003; Lipman et al. 2023, arXiv:2210.02747.
    """

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def target(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        return noise - clean

    def clean(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        return noisy - prediction * t

    def noise(self, noisy: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        return noisy + prediction * (1 - t)

    def velocity(self, prediction: Tensor) -> Tensor:
        return prediction
