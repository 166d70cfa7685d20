"""What the parts of a model say against each other. Every contradiction is found at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from zoo.config.model import (
    AutoencoderPretransformConfig,
    DiffusionAutoencoderConfigContainer,
    HyperencoderConfigContainer,
    ModelContainer,
    PretransformConfig,
    StandardAutoencoderConfigContainer,
)
from zoo.config.rules.autoencoder import autoencoder, within_pretransform
from zoo.config.rules.diffusion import diffusion_autoencoder
from zoo.config.rules.pretransform import rates
from zoo.errors import ConfigError, Problem


def check(container: ModelContainer, source: str = "") -> None:
    """Raises: ConfigError with every contradiction in `container`."""
    problems = list(contradictions(container))
    if problems:
        raise ConfigError(problems, source)


def check_pretransform(pretransform: PretransformConfig) -> None:
    """Raises: ConfigError with every contradiction in a pretransform by itself."""
    problems = list(within_pretransform(pretransform, ""))
    if problems:
        raise ConfigError(problems)


def contradictions(container: ModelContainer) -> Iterator[Problem]:
    """Every contradiction in a completed container, with key paths as the user wrote them."""
    match container:
        case StandardAutoencoderConfigContainer():
            yield from autoencoder(container.model, "model")
        case HyperencoderConfigContainer():
            yield from autoencoder(container.model, "model")
            if not isinstance(container.model.pretransform, AutoencoderPretransformConfig):
                yield Problem(
                    "model.pretransform", "a hyperencoder needs one of type 'autoencoder'"
                )
        case DiffusionAutoencoderConfigContainer():
            yield from diffusion_autoencoder(container.model, "model")
        case _:
            assert_never(container)
    yield from rates(container.model.pretransform, container.sample_rate, "model")
    yield from _file(container)


def _file(container: ModelContainer) -> Iterator[Problem]:
    model = container.model
    if container.sample_size and container.sample_size % model.min_length:
        yield Problem(
            "sample_size",
            f"{container.sample_size} is not a multiple of {model.min_length_words}",
        )
    sides = {model.in_channels or model.io_channels, model.out_channels or model.io_channels}
    if container.audio_channels and container.audio_channels not in sides:
        allowed = " or ".join(str(side) for side in sorted(sides))
        yield Problem(
            "audio_channels", f"{container.audio_channels}, but the model's audio has {allowed}"
        )
