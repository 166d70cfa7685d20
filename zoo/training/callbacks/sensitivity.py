"""Where the discriminator looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from zoo.evaluation.plots import sensitivity_figure, write_png
from zoo.training.adversary import Adversary
from zoo.training.callbacks.validated import ValidationCallback
from zoo.training.module import Reconstruction
from zoo.training.shown import show_image, step_folder


class Sensitivity(ValidationCallback):
    """At each validation, draws the first clip's gradients of the discriminator's losses.

    Args:
        folder: gets `step-000100/sensitivity.png`.
        sample_rate: Hz.

    Source: the picture of that name in stable_audio_tools/training/autoencoders.py.
    """

    # upstream: one gradient of the sum, with respect to a 512-point STFT through its inverse, and
    # it runs `backward` into the weights, whose gradients it clears afterwards.

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self.folder = folder
        self.sample_rate = sample_rate

    def see(
        self,
        trainer: Trainer,
        module: LightningModule,
        reconstruction: Reconstruction,
        batch_index: int,
    ) -> None:
        if batch_index > 0 or not trainer.is_global_zero or trainer.sanity_checking:
            return
        adversary: Any = module.adversary
        gradients = sensitivity(adversary, reconstruction.reals[:1], reconstruction.decoded[:1])
        clip = reconstruction.decoded[0].float().cpu()
        of_clip = {name: gradient[0].float().cpu() for name, gradient in gradients.items()}
        figure = sensitivity_figure(clip, of_clip, self.sample_rate)
        file = write_png(figure, step_folder(self.folder, trainer) / "sensitivity.png")
        show_image(trainer, "examples/sensitivity", file)


def sensitivity(adversary: Adversary, reals: Tensor, fakes: Tensor) -> dict[str, Tensor]:
    """Gradient of each of the generator's losses with respect to `fakes`, in its shape.

    Args:
        reals, fakes: (batch, channels, samples).
    """
    dtype = next(adversary.discriminator.parameters()).dtype
    # Validation's tensors know nothing of gradients: copies do.
    with torch.inference_mode(False), torch.enable_grad():
        reals, fakes = reals.clone().to(dtype), fakes.clone().to(dtype).requires_grad_()
        losses = adversary.generator_losses(reals, fakes)
        return {
            name.replace("_", " "): torch.autograd.grad(loss.value, fakes, retain_graph=True)[0]
            for name, loss in losses.items()
        }
