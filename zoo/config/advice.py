"""What is sound in a config and yet most likely not meant."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.config.dit import DiTConfig
from zoo.config.model import DiffusionAutoencoderConfig, ModelContainer
from zoo.config.recipe import AnyRecipe
from zoo.errors import Problem

_MOST_TOKENS_PER_SECOND = 2000


def advice(config: ModelContainer | AnyRecipe) -> Iterator[Problem]:
    """Warnings on a checked model or recipe, with key paths as the user wrote them."""
    if isinstance(config.model, DiffusionAutoencoderConfig):
        yield from _tokens(config.model, config.sample_rate, "model")


def _tokens(model: DiffusionAutoencoderConfig, sample_rate: int, path: str) -> Iterator[Problem]:
    """Whether attention costs far more than it need."""
    if not isinstance(model.diffusion, DiTConfig):
        return
    network = model.diffusion.config
    windowed = network.sliding_window is not None and -1 not in network.sliding_window
    if windowed or not network.depth:
        return
    around = model.pretransform.ratio if model.pretransform else 1
    tokens = sample_rate / around / network.patch_size
    if tokens > _MOST_TOKENS_PER_SECOND:
        yield Problem(
            f"{path}.diffusion.config.patch_size",
            f"{network.patch_size} means {tokens:,.0f} tokens per second of audio, and attention "
            "over all of them; give a larger patch_size, a pretransform or a sliding_window",
        )
