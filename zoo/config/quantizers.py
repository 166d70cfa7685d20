"""Parameters of the discrete bottlenecks, and what they say against each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Float,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from zoo.errors import Problem

Level = Annotated[int, Field(strict=True, ge=2, le=65536)]


class ImplicitCodebookParameters(Config):
    """The network that makes a codebook out of what is quantised already."""

    dim_hidden: PositiveInt | None = Field(
        default=None, description="Hidden width; as wide as the codes if absent"
    )
    depth: NonNegativeInt = Field(default=4, description="Layers")


class RVQParameters(Config):
    """Residual vector quantisation of vector-quantize-pytorch."""

    dim: PositiveInt = Field(default=128, description="Channels; the model's latent_dim")
    codebook_size: PositiveInt = Field(default=1024, description="Codes of each quantizer")
    num_quantizers: PositiveInt = Field(default=8, description="Quantizers")
    codebook_dim: PositiveInt | None = Field(
        default=None, description="Channels of a code; `dim` if absent"
    )
    shared_codebook: Bool = Field(default=False, description="All quantizers use the same codebook")
    decay: Fraction = Field(
        default=0.99, description="Decay per update of the averages that codes are"
    )
    eps: PositiveFloat = Field(
        default=1e-5, description="Smoothing of the number of frames per code"
    )
    kmeans_init: Bool = Field(
        default=True, description="Codes start as the k-means of the first training batch"
    )
    kmeans_iters: NonNegativeInt = Field(default=50, description="Iterations of k-means")
    threshold_ema_dead_code: NonNegativeFloat = Field(
        default=2.0,
        description="A code that stands for fewer frames per batch, on average, is replaced by "
        "a frame; 0 replaces none",
    )
    use_cosine_sim: Bool = Field(
        default=False, description="The nearest code by angle, not by distance"
    )
    commitment_weight: NonNegativeFloat = Field(
        default=1.0, description="Weight of the distance to the codes within `quantizer_loss`"
    )
    commitment_use_cross_entropy_loss: Bool = Field(
        default=False, description="Cross entropy of the choice of code in place of that distance"
    )
    orthogonal_reg_weight: NonNegativeFloat = Field(
        default=0.0, description="Weight of the loss that makes codes orthogonal"
    )
    orthogonal_reg_active_codes_only: Bool = Field(
        default=False, description="That loss for the codes of the batch alone"
    )
    orthogonal_reg_max_codes: PositiveInt | None = Field(
        default=None, description="That loss for as many random codes; all if absent"
    )
    codebook_diversity_loss_weight: NonNegativeFloat = Field(
        default=0.0, description="Weight of the loss that spreads frames over codes"
    )
    codebook_diversity_temperature: PositiveFloat = Field(
        default=100.0, description="How sharply that loss assigns frames to codes"
    )
    stochastic_sample_codes: Bool = Field(
        default=False, description="Draw codes in training instead of taking the nearest"
    )
    sample_codebook_temp: NonNegativeFloat = Field(
        default=1.0, description="Temperature of that draw; 0 is the nearest code"
    )
    straight_through: Bool = Field(
        default=False,
        description="Gradients of the drawn code by Gumbel's trick; needs rotation_trick: false",
    )
    rotation_trick: Bool | None = Field(
        default=None,
        description="Gradients are rotated with the code; true if absent, except for codes of "
        "one channel and with `directional_reparam`",
    )
    directional_reparam: Bool = Field(
        default=False, description="Learn codes by a noisy step from the input towards the code"
    )
    directional_reparam_variance: NonNegativeFloat = Field(
        default=5e-3, description="Variance of that noise"
    )
    route_gradients_to_input: Bool = Field(
        default=True, description="Gradients pass the quantizers to the encoder"
    )
    learnable_codebook: Bool | None = Field(
        default=None,
        description="Codes are learnt by gradients; true if absent with `directional_reparam`",
    )
    ema_update: Bool | None = Field(
        default=None,
        description="Codes are averages of their frames; false if absent with "
        "`directional_reparam`",
    )
    sync_update_v: Fraction = Field(
        default=0.0, description="Share of the optimistic update of learnable codes"
    )
    diveq: Bool = Field(
        default=False, description="Learn all codes by one noisy step from the input to the sum"
    )
    quant_grad_frac: Fraction = Field(
        default=0.0, description="Share of a quantizer's gradients that earlier quantizers receive"
    )
    quantize_dropout: Bool = Field(
        default=False, description="Each training batch uses a random number of quantizers"
    )
    quantize_dropout_cutoff_index: NonNegativeInt = Field(
        default=0, description="Index of the first quantizer that may be the last one used"
    )
    quantize_dropout_multiple_of: PositiveInt = Field(
        default=1, description="That number is rounded up to a multiple of this"
    )
    sync_codebook: Bool | None = Field(
        default=None,
        description="All processes of a training run learn the codes together; true if absent",
    )
    sync_kmeans: Bool = Field(default=True, description="They also start them together")
    implicit_neural_codebook: Bool = Field(
        default=False, description="A network makes each codebook out of the previous codes"
    )
    mlp_kwargs: ImplicitCodebookParameters | None = Field(
        default=None, description="That network; its defaults if absent"
    )
    beam_size: PositiveInt | None = Field(
        default=None, description="Choices of codes that the search keeps; 1 if absent"
    )
    eval_beam_size: PositiveInt | None = Field(
        default=None, description="The same in eval mode; `beam_size` if absent"
    )
    beam_score_quantizer_weights: tuple[Float, ...] | None = Field(
        default=None, description="Weight of each quantizer's distance in that search"
    )

    def contradictions(self, latent_dim: int | None) -> Iterator[Problem]:
        """Paths relative to these parameters."""
        yield from _width("dim", self.dim, latent_dim)
        yield from self._gradients()
        yield from self._beams()
        if self.kmeans_init and self.kmeans_iters == 0:
            yield Problem("kmeans_iters", "must be at least 1 with kmeans_init")
        cutoff, count = self.quantize_dropout_cutoff_index, self.num_quantizers
        if self.quantize_dropout and 1 < count <= cutoff:
            yield Problem(
                "quantize_dropout_cutoff_index", f"{cutoff}, but must be below {count} quantizers"
            )

    def _gradients(self) -> Iterator[Problem]:
        forced = self.diveq or self.implicit_neural_codebook
        learnt, averaged = self.learnable_codebook, self.ema_update
        learnt = forced or (self.directional_reparam if learnt is None else learnt)
        averaged = not forced and (not self.directional_reparam if averaged is None else averaged)
        rotated = self.rotation_trick
        if rotated is None:
            rotated = not self.directional_reparam and (self.codebook_dim or self.dim) > 1
        if rotated and self.straight_through:
            yield Problem("straight_through", "needs rotation_trick: false")
        if rotated and self.directional_reparam:
            yield Problem("directional_reparam", "can't be combined with rotation_trick")
        if self.straight_through and self.directional_reparam:
            yield Problem("straight_through", "can't be combined with directional_reparam")
        if learnt and averaged:
            yield Problem("ema_update", "must be false where codes are learnt by gradients")
        if learnt and self.straight_through:
            yield Problem("straight_through", "can't be combined with codes learnt by gradients")
        if learnt and self.use_cosine_sim:
            yield Problem("use_cosine_sim", "can't be combined with codes learnt by gradients")
        if self.sync_update_v > 0 and not learnt:
            yield Problem("sync_update_v", "needs learnable_codebook: true, ema_update: false")
        if self.directional_reparam and self.threshold_ema_dead_code == 0:
            yield Problem("threshold_ema_dead_code", "must be above 0 for directional_reparam")

    def _beams(self) -> Iterator[Problem]:
        weights = self.beam_score_quantizer_weights
        if weights is not None and len(weights) != self.num_quantizers:
            yield Problem(
                "beam_score_quantizer_weights",
                f"{len(weights)} weights, but there are {self.num_quantizers} quantizers",
            )
        if self.eval_beam_size is not None and self.beam_size is None:
            yield Problem("eval_beam_size", "needs beam_size; 1 is no search in training")
        for name, size in (("beam_size", self.beam_size), ("eval_beam_size", self.eval_beam_size)):
            if size is not None and size > self.codebook_size:
                yield Problem(name, f"{size}, but a codebook has {self.codebook_size} codes")
            if size is not None and size > 1 and self.implicit_neural_codebook:
                yield Problem(name, "must be 1 with implicit_neural_codebook")
        if self.beam_size is None or self.beam_size == 1:
            return
        if self.commitment_use_cross_entropy_loss:
            yield Problem("beam_size", "must be 1 with commitment_use_cross_entropy_loss")
        if self.diveq or self.directional_reparam or self.commitment_weight == 0:
            yield Problem("beam_size", "must be 1 without a commitment loss")


class DACRVQVAEParameters(Config):
    """Residual vector quantisation of the Descript Audio Codec."""

    input_dim: PositiveInt = Field(default=512, description="Channels; the model's latent_dim")
    n_codebooks: PositiveInt = Field(description="Quantizers")
    codebook_size: PositiveInt = Field(description="Codes of each quantizer")
    codebook_dim: PositiveInt | tuple[PositiveInt, ...] = Field(
        default=8, description="Channels of a code, for all quantizers or one number each"
    )
    quantizer_dropout: Fraction = Field(
        default=0.0, description="Share of a training batch that uses fewer quantizers, at random"
    )
    quantize_on_decode: Bool = Field(
        default=False, description="Latents stay unquantised until they are decoded"
    )

    def contradictions(self, latent_dim: int | None) -> Iterator[Problem]:
        """Paths relative to these parameters."""
        yield from _width("input_dim", self.input_dim, latent_dim)
        given = self.codebook_dim
        if isinstance(given, tuple) and len(given) != self.n_codebooks:
            yield Problem(
                "codebook_dim", f"{len(given)} entries, but n_codebooks is {self.n_codebooks}"
            )


class DACRVQParameters(DACRVQVAEParameters):
    noise_augment_dim: NonNegativeInt = Field(
        default=0, description="Channels of noise that the decoder receives besides the latents"
    )


class FSQParameters(Config):
    """Finite scalar quantisation of vector-quantize-pytorch."""

    levels: tuple[Level, ...] = Field(
        min_length=1, description="Values of each channel of a codebook"
    )
    dim: PositiveInt | None = Field(
        default=None,
        description="Channels, the model's latent_dim; projected where there aren't as many "
        "levels x codebooks; as many if absent",
    )
    num_codebooks: PositiveInt = Field(default=1, description="Codebooks, side by side")
    keep_num_codebooks_dim: Bool | None = Field(
        default=None, description="Has no effect: tokens always have an axis of codebooks"
    )
    scale: Float | None = Field(default=None, description="Has no effect")
    projection_has_bias: Bool = Field(default=True, description="Whether projections have a bias")
    force_quantization_f32: Bool = Field(
        default=True, description="Quantise in single precision under autocast"
    )
    preserve_symmetry: Bool = Field(
        default=False, description="Values lie symmetrically around zero for even levels too"
    )
    noise_dropout: Fraction = Field(
        default=0.0, description="Share of values that get noise in training"
    )
    bound_hard_clamp: Bool = Field(default=False, description="Limit values by a clamp, not tanh")
    orthogonal_rotation: Bool = Field(
        default=False, description="Turn the channels of a codebook by a random rotation"
    )
    noise_augment_dim: NonNegativeInt = Field(
        default=0, description="Channels of noise that the decoder receives besides the latents"
    )

    def contradictions(self, latent_dim: int | None) -> Iterator[Problem]:
        """Paths relative to these parameters."""
        if self.dim is not None:
            yield from _width("dim", self.dim, latent_dim)
        else:
            name = f"{len(self.levels)} levels x {self.num_codebooks} num_codebooks"
            yield from _width(
                "levels", len(self.levels) * self.num_codebooks, latent_dim, f"{name} = "
            )
        yield from _countable(math.prod(self.levels))
        if self.num_codebooks > 1 and self.keep_num_codebooks_dim is False:
            yield Problem("keep_num_codebooks_dim", "must be true with several codebooks")
        if 2 in self.levels and not self.preserve_symmetry:
            yield Problem("levels", "2 levels need preserve_symmetry: true")
        if self.noise_dropout > 0 and not self.preserve_symmetry:
            yield Problem("noise_dropout", "needs preserve_symmetry: true")


class DitheredFSQParameters(Config):
    """Finite scalar quantisation that is dithered in training."""

    dim: PositiveInt = Field(description="Channels of a codebook")
    levels: Level | tuple[Level, ...] = Field(
        description="Values of a channel, for all or one number for each channel of a codebook"
    )
    num_codebooks: PositiveInt = Field(
        default=1, description="Codebooks, side by side: the model's latent_dim is a multiple"
    )
    dither_inference: Bool = Field(
        default=False, description="Dither before rounding in eval mode too"
    )
    noise_dropout: Fraction = Field(
        default=0.05, description="Share of training clips that are not dithered"
    )

    def contradictions(self, latent_dim: int | None) -> Iterator[Problem]:
        """Paths relative to these parameters."""
        name = f"{self.dim} x {self.num_codebooks} num_codebooks = "
        yield from _width("dim", self.dim * self.num_codebooks, latent_dim, name)
        if isinstance(self.levels, int):
            yield from _countable(self.levels**self.dim)
            return
        if len(self.levels) != self.dim:
            yield Problem("levels", f"{len(self.levels)} levels, but dim is {self.dim}")
        yield from _countable(math.prod(self.levels))


def _width(
    path: str, given: int, latent_dim: int | None, derivation: str = ""
) -> Iterator[Problem]:
    if latent_dim is not None and given != latent_dim:
        yield Problem(path, f"{derivation}{given}, but model.latent_dim is {latent_dim}")


def _countable(codes: int) -> Iterator[Problem]:
    if codes >= 2**63:
        yield Problem("levels", "a codebook of more than 2^63 codes: tokens can't be numbered")
