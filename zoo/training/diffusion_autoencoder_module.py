"""The LightningModule of a diffusion autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.config.recipe import DiffusionRecipeConfig
from zoo.data.resample import fit_channels
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder
from zoo.models.diffusion.process import Process
from zoo.models.diffusion.timesteps import Timesteps
from zoo.training.module import Configure, ModelModule, Reconstruction
from zoo.training.objective import Objective, term


class DiffusionAutoencoderModule(ModelModule):
    """Trains a `DiffusionAutoencoder`, ours or upstream's.

    Args:
        process: how noise is added and what is predicted.
        timesteps: how much noise, how often.
        objective: distances of the clean audio that a prediction stands for, and the bottleneck's.
        model, configure, recipe: as of `ModelModule`.
    """

    recipe: DiffusionRecipeConfig

    def __init__(
        self,
        model: nn.Module,
        process: Process,
        timesteps: Timesteps,
        objective: Objective,
        configure: dict[str, Configure],
        recipe: DiffusionRecipeConfig,
    ) -> None:
        super().__init__(model, objective, configure, recipe)
        self.process = process
        self.timesteps = timesteps

    def training_step(self, audio: Tensor, batch_index: int) -> None:
        model: Any = self.model
        reals = fit_channels(audio, model.out_channels)
        clean, heard = reals, fit_channels(audio, model.in_channels)
        if model.pretransform is not None:
            clean = heard = model.pretransform.encode(heard)
        latents, info = model.encode(heard, return_info=True, skip_pretransform=True)
        condition = self._condition(latents)

        times = self.timesteps(len(audio), None).to(clean)
        t = times[:, None, None]
        noise = torch.randn_like(clean)
        noisy = self.process.mix(clean, noise, t)
        prediction = model.diffusion(noisy, times, input_concat_cond=condition).to(clean.dtype)

        decoded = reals
        if self.objective.distances:
            decoded = self.process.clean(noisy, prediction, t)
            if model.pretransform is not None:
                decoded = model.pretransform.decode(decoded)
        error = F.mse_loss(prediction, self.process.target(clean, noise, t))
        losses = {"mse": term(error, self.recipe.losses.mse, self.updates)}
        losses |= self.objective(decoded, reals, info, self.updates)
        self.update_model(losses, latents)

    def reconstruct(self, audio: Tensor, batch_index: int) -> Reconstruction:
        model: Any = self.model
        latents, info = model.encode(fit_channels(audio, model.in_channels), return_info=True)
        decoding = self.recipe.validation
        options: dict[str, Any] = {} if decoding.steps is None else {"steps": decoding.steps}
        if isinstance(model, DiffusionAutoencoder):
            first = batch_index * self.recipe.data.batch_size
            clips = range(first, first + len(audio))
            options |= {"sampler": decoding.sampler, "seed": decoding.seed, "clips": clips}
        # upstream: draws from the global generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(decoding.seed)
            decoded = model.decode(latents, **options)
        samples = min(decoded.shape[-1], audio.shape[-1])
        reals = fit_channels(audio, decoded.shape[1])
        return Reconstruction(reals[..., :samples], decoded[..., :samples], latents, info)

    def _condition(self, latents: Tensor) -> Tensor:
        model: Any = self.model
        # upstream: trains on latents that have not been through the bottleneck's `decode`.
        if model.bottleneck is not None:
            latents = model.bottleneck.decode(latents)
        return latents if model.decoder is None else model.decoder(latents)
