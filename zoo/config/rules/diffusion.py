"""What the parts of a diffusion autoencoder say against each other."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.config.model import DiffusionAutoencoderConfig
from zoo.config.rules.autoencoder import (
    decoder_width,
    each_part,
    encoder_channels,
    encoder_channels_in,
    encoder_width,
    pretransform_around,
    ratio,
    why,
)
from zoo.errors import Problem


def diffusion_autoencoder(model: DiffusionAutoencoderConfig, path: str) -> Iterator[Problem]:
    """Every contradiction in a completed config; `path` is that of the model."""
    yield from each_part(model, path)
    yield from encoder_width(model, path)
    yield from decoder_width(model, path)
    yield from encoder_channels_in(model, path)
    yield from pretransform_around(model, path)
    if model.encoder:
        yield from ratio(model, model.encoder, f"{path}.encoder", path)
    else:
        yield from _without_encoder(model, path)
    yield from _decoder(model, path)
    for problem in model.diffusion.contradictions(model.inner_channels, model.condition_channels):
        yield Problem(f"{path}.diffusion.{problem.path}", problem.message)


def _without_encoder(model: DiffusionAutoencoderConfig, path: str) -> Iterator[Problem]:
    """The latents are then the audio, or what the pretransform makes of it."""
    given = model.pretransform.ratio if model.pretransform else 1
    if model.downsampling_ratio != given:
        of = "the pretransform" if model.pretransform else "no pretransform and no encoder"
        yield Problem(
            f"{path}.downsampling_ratio",
            f"{model.downsampling_ratio}, but {of} makes it {given}",
        )
    name, audio = model.input_side
    channels = model.pretransform.encoded_channels(audio) if model.pretransform else audio
    if encoder_channels(model) != channels:
        yield Problem(
            f"{path}.latent_dim",
            f"{model.latent_dim}{why(model.bottleneck)} needs {encoder_channels(model)} channels, "
            f"but without an encoder there are the {channels} of {path}.{name}",
        )


def _decoder(model: DiffusionAutoencoderConfig, path: str) -> Iterator[Problem]:
    """Its output is stretched to the signal, so its ratio need only divide the encoder's."""
    stretch = model.encoder.ratio if model.encoder else 1
    if model.decoder and stretch % model.decoder.ratio:
        yield Problem(
            f"{path}.decoder.config.{model.decoder.ratio_key}",
            f"{'x'.join(map(str, model.decoder.factors))} = {model.decoder.ratio} does not divide "
            f"the encoder's {stretch}",
        )
