"""From a recipe to what is minimised."""

from __future__ import annotations

from typing import Any, TypeVar

from zoo.config.distances import MelLossConfig
from zoo.config.losses import LossesConfig
from zoo.config.recipe import AnyRecipe, RecipeConfig
from zoo.config.weights import is_on
from zoo.errors import CheckpointError
from zoo.load import from_config, from_pretrained
from zoo.training.losses import (
    MidSideSTFTLoss,
    MultiResolutionMelLoss,
    MultiResolutionSTFTLoss,
    StereoSTFTLoss,
    l1,
    l2,
    normalised_l2,
    si_sdr,
)
from zoo.training.losses.semantic import load_semantic_loss
from zoo.training.objective import Loss, Objective, Weight
from zoo.training.teacher import Teacher

STFTLossT = TypeVar("STFTLossT", bound=MultiResolutionSTFTLoss)


def build_objective(recipe: AnyRecipe) -> Objective:
    """The losses of decoded audio and of the bottleneck whose weight is not 0."""
    losses = recipe.losses
    distances: dict[str, tuple[Weight, Loss]] = {}
    if is_on(losses.stft.weight):
        distances["stft"] = (losses.stft.weight, build_stft(StereoSTFTLoss, recipe))
    if isinstance(losses, LossesConfig):
        waveforms = {"l1": l1, "l2": l2, "normalised_l2": normalised_l2, "si_sdr": si_sdr}
        for name, function in waveforms.items():
            if is_on(getattr(losses, name)):
                distances[name] = (getattr(losses, name), function)
        if is_on(losses.mel.weight):
            distances["mel"] = (losses.mel.weight, build_mel(losses.mel, recipe.sample_rate))
        if losses.semantic is not None and is_on(losses.semantic.weight):
            semantic = load_semantic_loss(losses.semantic, recipe.sample_rate)
            distances["semantic"] = (losses.semantic.weight, semantic)
    bottleneck: dict[str, Weight] = {
        "kl": losses.kl,
        "mmd": losses.mmd,
        "quantizer_loss": losses.quantizer,
        "vq/commitment_loss": losses.commitment,
        "vq/codebook_loss": losses.codebook,
        "softnorm_loss": losses.softnorm,
    }
    return Objective(distances, bottleneck)


def build_stft(kind: type[STFTLossT], recipe: AnyRecipe) -> STFTLossT:
    """A multi-resolution STFT loss with the settings of `losses.stft`."""
    config = recipe.losses.stft
    return kind(
        config.fft_sizes,
        config.hop_sizes,
        config.win_lengths,
        sample_rate=recipe.sample_rate,
        perceptual_weighting=config.perceptual_weighting,
        scale=config.scale,
        n_bins=config.n_bins,
    )


def build_mel(config: MelLossConfig, sample_rate: int) -> MultiResolutionMelLoss:
    """The mel loss of `losses.mel`."""
    return MultiResolutionMelLoss(
        sample_rate,
        config.n_mels,
        config.window_lengths,
        clamp_eps=config.clamp_eps,
        mag_weight=config.mag_weight,
        log_weight=config.log_weight,
        power=config.pow,
    )


def build_teacher(recipe: RecipeConfig, model: Any) -> Teacher | None:
    """The teacher of a recipe, if it has one that counts.

    Raises:
        CheckpointError: where it can't be read, or has other latents or audio than `model`.
    """
    if recipe.teacher is None or not recipe.teacher.weights.any():
        return None
    path, config = recipe.teacher.checkpoint, recipe.teacher.model
    teacher: Any = from_pretrained(path) if config is None else from_config(config, checkpoint=path)
    for name in ("sample_rate", "in_channels", "out_channels", "latent_dim", "downsampling_ratio"):
        taught, teaches = getattr(model, name), getattr(teacher, name)
        if taught != teaches:
            raise CheckpointError(f"{path}: the teacher's {name} is {teaches}, not {taught}")
    return Teacher(teacher, build_stft(MidSideSTFTLoss, recipe), recipe.teacher.weights)
