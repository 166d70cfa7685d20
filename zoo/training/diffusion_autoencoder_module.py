"""The LightningModule of a diffusion autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.config.recipe import DiffusionRecipeConfig
from zoo.data.resample import fit_channels
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder
from zoo.models.diffusion.process import Process
from zoo.models.diffusion.timesteps import Timesteps
from zoo.nets.precision import widened, without_autocast
from zoo.training.losses.time import l2
from zoo.training.module import Configure, ModelModule, Reconstruction
from zoo.training.objective import Objective, term
from zoo.training.ranks import rank_and_world


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

    def learn(self, audio: Tensor) -> None:
        model: Any = self.model
        reals = fit_channels(audio, model.out_channels)
        # In float32 at least, whatever the precision of the network: small times need it.
        with torch.no_grad(), without_autocast(audio):
            clean = reals if model.pretransform is None else model.pretransform.encode(reals)
            clean = widened(clean)
        latents, info = self._encode(audio, clean)
        self.note_tokens(info)
        condition = self._condition(latents)

        with torch.no_grad(), without_autocast(audio):
            times = self.timesteps(len(audio), None).to(clean.device)
            t = times[:, None, None]
            noise = torch.randn_like(clean)
            noisy = self.process.mix(clean, noise, t)
            target = self.process.target(clean, noise, t)
        prediction = widened(self._predict(noisy, times, condition))

        decoded = reals
        if self.objective.distances:
            decoded = self.process.clean(noisy, prediction, t)
            if model.pretransform is not None:
                decoded = model.pretransform.decode(decoded)
        losses = {"mse": term(l2(prediction, target), self.recipe.losses.mse, self.updates)}
        losses |= self.objective(decoded, reals, info, self.updates)
        self.learn_model(losses, latents)

    def reconstruct(self, audio: Tensor, batch_index: int) -> Reconstruction:
        model: Any = self.model
        decoding = self.recipe.validation
        options: dict[str, Any] = {"steps": decoding.steps or self.recipe.model.decoding.steps}
        if isinstance(model, DiffusionAutoencoder):
            # Numbers of the clips over all processes: each has its own noise, whoever decodes it.
            rank, world = rank_and_world()
            first = batch_index * self.recipe.data.batch_size
            clips = [turn * world + rank for turn in range(first, first + len(audio))]
            options |= {"sampler": decoding.sampler, "seed": decoding.seed, "clips": clips}
        # upstream: draws latents and noise from the global generator.
        with torch.random.fork_rng(devices=[audio.device] if audio.is_cuda else []):
            torch.manual_seed(decoding.seed)
            latents, info = model.encode(fit_channels(audio, model.in_channels), return_info=True)
            decoded = model.decode(latents, **options)
        samples = min(decoded.shape[-1], audio.shape[-1])
        reals = fit_channels(audio, decoded.shape[1])
        return Reconstruction(reals[..., :samples], decoded[..., :samples], latents, info)

    def _encode(self, audio: Tensor, clean: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Latents and the bottleneck's facts; a frozen pretransform is not run again."""
        model: Any = self.model
        pretransform = model.pretransform
        same = model.in_channels == model.out_channels
        if pretransform is None or pretransform.enable_grad or not same:
            return model.encode(fit_channels(audio, model.in_channels), return_info=True)
        return model.encode(clean.to(audio.dtype), return_info=True, skip_pretransform=True)

    def _condition(self, latents: Tensor) -> Tensor:
        model: Any = self.model
        # upstream: trains on latents that have not been through the bottleneck's `decode`.
        if model.bottleneck is not None:
            latents = model.bottleneck.decode(latents)
        if isinstance(model, DiffusionAutoencoder):
            return model.condition(latents)
        return latents if model.decoder is None else model.decoder(latents)

    def _predict(self, noisy: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        model: Any = self.model
        if isinstance(model, DiffusionAutoencoder):
            return model.predict(noisy, times, condition)
        return model.diffusion(noisy, times, input_concat_cond=condition)
