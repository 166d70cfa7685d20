"""Distances of audio with settings of their own, and how they are balanced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Float,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from zoo.config.weights import Weight, is_on
from zoo.errors import Problem

SemanticModel = Literal[
    "hubert_base",
    "hubert_large",
    "hubert_xlarge",
    "wav2vec2_base",
    "wav2vec2_large",
    "wav2vec2_large_lv60k",
    "wavlm_base",
    "wavlm_base_plus",
    "wavlm_large",
]
_FILES: dict[SemanticModel, str] = {
    "hubert_base": "hubert_fairseq_base_ls960.pth",
    "hubert_large": "hubert_fairseq_large_ll60k.pth",
    "hubert_xlarge": "hubert_fairseq_xlarge_ll60k.pth",
    "wav2vec2_base": "wav2vec2_fairseq_base_ls960.pth",
    "wav2vec2_large": "wav2vec2_fairseq_large_ls960.pth",
    "wav2vec2_large_lv60k": "wav2vec2_fairseq_large_lv60k.pth",
    "wavlm_base": "wavlm_base.pth",
    "wavlm_base_plus": "wavlm_base_plus.pth",
    "wavlm_large": "wavlm_large.pth",
}


class MelLossConfig(Config):
    """Multi-resolution mel distance of descript-audio-codec, as its recipe sets it."""

    weight: Weight = Field(default=0.0, description="Weight; 0 leaves it out")
    n_mels: tuple[PositiveInt, ...] = Field(
        default=(5, 10, 20, 40, 80, 160, 320),
        min_length=1,
        description="Mel bands of each resolution",
    )
    window_lengths: tuple[Annotated[int, Field(strict=True, ge=4)], ...] = Field(
        default=(32, 64, 128, 256, 512, 1024, 2048),
        description="FFT and window of each resolution in samples; the hop is a quarter",
    )
    clamp_eps: PositiveFloat = Field(
        default=1e-5, description="Smallest magnitude before the logarithm"
    )
    mag_weight: NonNegativeFloat = Field(default=0.0, description="Weight of the magnitudes")
    log_weight: NonNegativeFloat = Field(default=1.0, description="Weight of the log magnitudes")
    pow: PositiveFloat = Field(default=1.0, description="Exponent of magnitudes in the logarithm")

    def contradictions(self) -> Iterator[Problem]:
        given, wanted = len(self.window_lengths), len(self.n_mels)
        if given != wanted:
            yield Problem("window_lengths", f"{given} entries, but n_mels has {wanted}")


class SemanticLossConfig(Config):
    """Distance in the features of a network that was trained on speech."""

    model: SemanticModel = Field(description="Network, one of torchaudio's")
    weights: str | None = Field(default=None, description="File with its weights")
    layers: tuple[Annotated[int, Field(strict=True, ge=-1)], ...] | None = Field(
        default=None,
        min_length=1,
        description="Transformer layers that count, from 0; -1: the convolutions; null: all layers",
    )
    weight: Weight = Field(default=1.0, description="Weight; 0 leaves it out")

    @property
    def file(self) -> str:
        """The name that torchaudio gives the weights."""
        return _FILES[self.model]

    @property
    def source(self) -> str:
        """How the weights can be had."""
        pipeline = f"torchaudio.pipelines.{self.model.upper()}.get_model()"
        return f"{pipeline} downloads {self.file} into ~/.cache/torch/hub/checkpoints"

    def contradictions(self) -> Iterator[Problem]:
        if self.weights is None and is_on(self.weight):
            yield Problem("weights", f"needs the path of {self.file}: {self.source}")


class BalancerConfig(Config):
    """Weights become shares of the gradient's norm at the decoder's output."""

    total_norm: PositiveFloat = Field(default=1.0, description="Norm that is shared out")
    decay: Annotated[Float, Field(ge=0, lt=1)] = Field(
        default=0.999, description="Decay of the running norm of each loss's gradient"
    )
    per_item: Bool = Field(
        default=True, description="Average the norms of a batch's items; false: one norm for all"
    )
