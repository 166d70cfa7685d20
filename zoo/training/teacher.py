"""Distillation: losses that a trained autoencoder gives another one with the same latents."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.teacher import TeacherWeights
from zoo.config.weights import is_on
from zoo.nets.precision import widened
from zoo.training.frozen import Frozen
from zoo.training.module import Reconstruction
from zoo.training.objective import Loss, Term, term


class Teacher(nn.Module):
    """Compares a student's latents and audio with its own. It is not part of the state dict.

    Args:
        model: the trained autoencoder.
        distance: of two signals (batch, channels, samples).
        weights: of each term.

    Source: upstream `training/autoencoders.py`, "Distillation losses".
    """

    def __init__(self, model: nn.Module, distance: Loss, weights: TeacherWeights) -> None:
        super().__init__()
        self.frozen = Frozen(model)
        self.distance = distance
        self.weights = weights

    def forward(
        self, student: Any, batch: Reconstruction, heard: Tensor, sent: Tensor, update: int
    ) -> dict[str, Term]:
        """A term for each weight that is not 0.

        Args:
            student: the model that is trained.
            batch: what it made of `heard`.
            heard: (batch, channels, samples) that was encoded.
            sent: (batch, latent, frames) that was decoded.
            update: how often the student has been updated.
        """
        model, weights, reals = self.frozen.network, self.weights, batch.reals
        terms: dict[str, Term] = {}

        def add(name: str, value: Tensor, *, of_output: bool = False) -> None:
            weight = getattr(weights, name)
            terms[f"teacher_{name}"] = term(value, weight, update, of_output=of_output)

        with torch.no_grad():
            latents = model.encode(heard)
        if is_on(weights.latents):
            add("latents", F.mse_loss(widened(batch.latents), widened(latents)))
        if is_on(weights.reconstruction):
            add("reconstruction", self.distance(batch.decoded, reals), of_output=True)
        if is_on(weights.output):
            with torch.no_grad():
                target = model.decode(latents)
            add("output", self._compare(batch.decoded, target), of_output=True)
        # upstream: computes the audio of these two without gradients, so they teach nothing.
        if is_on(weights.encoder):
            add("encoder", self._compare(model.decode(sent), reals))
        if is_on(weights.decoder):
            add("decoder", self._compare(student.decode(latents), reals))
        return terms

    def _compare(self, audio: Tensor, target: Tensor) -> Tensor:
        samples = min(audio.shape[-1], target.shape[-1])
        return self.distance(audio[..., :samples], target[..., :samples])
