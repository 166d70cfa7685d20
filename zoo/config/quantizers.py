"""Parameters of the bottlenecks with tokens, and what they say against each other."""

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
    NonNegativeInt,
    PositiveInt,
)
from zoo.config.rvq import width
from zoo.errors import Problem

Level = Annotated[int, Field(strict=True, ge=2, le=65536)]


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
        yield from width("input_dim", self.input_dim, latent_dim)
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
            yield from width("dim", self.dim, latent_dim)
        else:
            name = f"{len(self.levels)} levels x {self.num_codebooks} num_codebooks"
            yield from width(
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
        yield from width("dim", self.dim * self.num_codebooks, latent_dim, name)
        if isinstance(self.levels, int):
            yield from _countable(self.levels**self.dim)
            return
        if len(self.levels) != self.dim:
            yield Problem("levels", f"{len(self.levels)} levels, but dim is {self.dim}")
        yield from _countable(math.prod(self.levels))


def _countable(codes: int) -> Iterator[Problem]:
    if codes >= 2**63:
        yield Problem("levels", "a codebook of more than 2^63 codes: tokens can't be numbered")
