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
    why_decoded,
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
        whence = _whence(model, problem.path.removeprefix("config."), path)
        yield Problem(f"{path}.diffusion.{problem.path}", problem.message + whence)


def _whence(model: DiffusionAutoencoderConfig, key: str, path: str) -> str:
    """Where the width comes from that a `key` of the diffusion network must fit."""
    if key == model.diffusion.condition_key:
        if model.decoder:
            return f" (of {path}.decoder.config.{model.decoder.audio_key})"
        behind = f"{why_decoded(model.bottleneck)}, without a decoder"
        return f" (of {path}.latent_dim {model.latent_dim}{behind})"
    if key in ("io_channels", "in_channels", "out_channels"):
        name, audio = model.output_side
        kind = model.pretransform and model.pretransform.type
        return f" (of {path}.{name} {audio}{f' through the {kind!r} pretransform' if kind else ''})"
    return ""


def _without_encoder(model: DiffusionAutoencoderConfig, path: str) -> Iterator[Problem]:
    """The latents are then the audio, or what the pretransform makes of it."""
    given = model.pretransform.ratio if model.pretransform else 1
    if model.downsampling_ratio != given:
        of = "no pretransform and no encoder"
        if model.pretransform:
            of = f"the pretransform's {model.pretransform.ratio_key}"
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
