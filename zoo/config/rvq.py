"""Parameters of residual vector quantisation, and what they say against each other."""

from __future__ import annotations

from collections.abc import Iterator

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
        default=None,
        description="Choices of codes that the search keeps, of all codes at most; 1 if absent",
    )
    eval_beam_size: PositiveInt | None = Field(
        default=None, description="The same in eval mode; `beam_size` if absent"
    )
    beam_score_quantizer_weights: tuple[Float, ...] | None = Field(
        default=None, description="Weight of each quantizer's distance in that search"
    )

    def contradictions(self, latent_dim: int | None) -> Iterator[Problem]:
        """Paths relative to these parameters."""
        yield from width("dim", self.dim, latent_dim)
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
            implicit = self.implicit_neural_codebook and self.num_quantizers > 1
            if size is not None and size > 1 and implicit:
                yield Problem(name, "must be 1 with implicit_neural_codebook")
        if self.beam_size is None or self.beam_size == 1:
            return
        if self.commitment_use_cross_entropy_loss:
            yield Problem("beam_size", "must be 1 with commitment_use_cross_entropy_loss")
        if self.straight_through:
            yield Problem("beam_size", "must be 1 with straight_through")
        if self.diveq or self.directional_reparam or self.commitment_weight == 0:
            yield Problem("beam_size", "must be 1 without a commitment loss")


def width(path: str, given: int, latent_dim: int | None, derivation: str = "") -> Iterator[Problem]:
    """One problem unless a part is as wide as the model's latents."""
    if latent_dim is not None and given != latent_dim:
        yield Problem(path, f"{derivation}{given}, but model.latent_dim is {latent_dim}")
