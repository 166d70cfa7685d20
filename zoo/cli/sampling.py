"""How a diffusion autoencoder decodes; other models take none of this."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.config.samplers import Sampler
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.inference.codec import Codec

StepsOption = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps of a diffusion decoder")
]
SamplerOption = Annotated[
    Sampler | None, typer.Option("--sampler", help="Sampler of a diffusion decoder")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Seed of a diffusion decoder's noise; default 0")
]


def sampling_options(
    codec: Codec, steps: int | None, sampler: Sampler | None, seed: int | None
) -> dict[str, Any]:
    """What `codec.decode` is given. Raises: ConfigError where the model samples nothing."""
    from zoo.models.diffusion.autoencoder import DiffusionAutoencoder

    given = {"steps": steps, "sampler": sampler and sampler.value, "seed": seed}
    given = {key: value for key, value in given.items() if value is not None}
    if isinstance(codec.model, DiffusionAutoencoder):
        return {**given, "progress": sys.stderr.isatty()}
    if given:
        flags = ", ".join(f"--{key}" for key in given)
        raise ConfigError(f"{flags}: only for diffusion autoencoders; this model decodes at once")
    return {}
