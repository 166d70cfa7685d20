"""What the parts of a standard autoencoder say against each other."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderPretransformConfig,
    DiffusionAutoencoderConfig,
    PretransformConfig,
)
from zoo.config.network import NetworkConfig
from zoo.config.pretransforms import (
    PatchedPretransformConfig,
    PQMFPretransformConfig,
    WaveletPretransformConfig,
)
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.config.rules.pretransform import Side, around
from zoo.errors import Problem

AnyAutoencoder = AutoencoderConfig | DiffusionAutoencoderConfig


def autoencoder(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    """Every contradiction; `path` is that of the model."""
    yield from each_part(model, path)
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        yield from ratio(model, part, f"{path}.{name}", path)
    yield from encoder_width(model, path)
    yield from decoder_width(model, path)
    yield from encoder_channels_in(model, path)
    yield from _decoder_channels_out(model, path)
    yield from pretransform_around(model, path)


def each_part(model: AnyAutoencoder, path: str) -> Iterator[Problem]:
    """What encoder, decoder, bottleneck and pretransform say against themselves."""
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        for problem in part.contradictions() if part else ():
            yield Problem(f"{path}.{name}.{problem.path}", problem.message)
    if model.bottleneck:
        for problem in model.bottleneck.contradictions(model.latent_dim):
            yield Problem(f"{path}.bottleneck.{problem.path}", problem.message)
    if model.pretransform:
        yield from within_pretransform(model.pretransform, f"{path}.pretransform.")


def ratio(
    model: AnyAutoencoder, part: NetworkConfig, part_path: str, path: str
) -> Iterator[Problem]:
    """Whether a network and the pretransform make up `downsampling_ratio`."""
    by_pretransform = model.pretransform.ratio if model.pretransform else 1
    times = ""
    if model.pretransform and by_pretransform > 1:
        key = model.pretransform.ratio_key
        times = f" (x {by_pretransform} of the pretransform's {key})"
    if part.ratio * by_pretransform != model.downsampling_ratio:
        yield Problem(
            f"{part_path}.config.{part.ratio_key}",
            f"{'x'.join(map(str, part.factors))}{times} = {part.ratio * by_pretransform}, "
            f"but {path}.downsampling_ratio is {model.downsampling_ratio}",
        )


def encoder_width(model: AnyAutoencoder, path: str) -> Iterator[Problem]:
    """Whether the encoder gives what the bottleneck takes."""
    wanted = encoder_channels(model)
    if model.encoder and model.encoder.output_channels != wanted:
        yield Problem(
            f"{path}.encoder.config.{model.encoder.latent_key}",
            f"{model.encoder.output_channels}{model.encoder.width_words}, but must be {wanted} for "
            f"{path}.latent_dim {model.latent_dim}{why(model.bottleneck)}",
        )


def decoder_width(model: AnyAutoencoder, path: str) -> Iterator[Problem]:
    """Whether the decoder takes what the bottleneck gives."""
    wanted = decoder_channels(model)
    if model.decoder and model.decoder.input_channels != wanted:
        yield Problem(
            f"{path}.decoder.config.{model.decoder.latent_key}",
            f"{model.decoder.input_channels}, but must be {wanted} for "
            f"{path}.latent_dim {model.latent_dim}{why_decoded(model.bottleneck)}",
        )


def encoder_channels(model: AnyAutoencoder) -> int:
    """Channels that the encoder of `model` must give."""
    if model.bottleneck is None:
        return model.latent_dim
    return model.bottleneck.encoder_channels(model.latent_dim)


def decoder_channels(model: AnyAutoencoder) -> int:
    """Channels that the bottleneck of `model` gives."""
    if model.bottleneck is None:
        return model.latent_dim
    return model.bottleneck.decoder_channels(model.latent_dim)


def why(bottleneck: BottleneckConfig | None) -> str:
    """The end of a sentence on the width of latents."""
    return f" and a '{bottleneck.type}' bottleneck" if bottleneck else " without a bottleneck"


def why_decoded(bottleneck: BottleneckConfig | None) -> str:
    """The end of a sentence on the width of what a bottleneck gives the decoder."""
    noise = getattr(bottleneck and bottleneck.config, "noise_augment_dim", None)
    return why(bottleneck) + ("" if noise is None else f" of noise_augment_dim {noise}")


def encoder_channels_in(model: AnyAutoencoder, path: str) -> Iterator[Problem]:
    """Whether the encoder takes the audio, or what the pretransform makes of it."""
    if model.encoder:
        key = f"{path}.encoder.config.{model.encoder.audio_key}"
        yield from _channels(model, key, model.encoder.input_channels, model.input_side, path)


def _decoder_channels_out(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    key = f"{path}.decoder.config.{model.decoder.audio_key}"
    yield from _channels(model, key, model.decoder.output_channels, model.output_side, path)


def _channels(
    model: AnyAutoencoder, key: str, given: int, side: Side, path: str
) -> Iterator[Problem]:
    (name, audio), through = side, ""
    wanted = audio
    if model.pretransform:
        wanted = model.pretransform.encoded_channels(audio)
        through = f" through the '{model.pretransform.type}' pretransform"
    if given != wanted:
        yield Problem(key, f"{given}, but must be {wanted} for {path}.{name} {audio}{through}")


def pretransform_around(model: AnyAutoencoder, path: str) -> Iterator[Problem]:
    """What the pretransform says against the model's audio channels."""
    if model.pretransform:
        sides = (model.input_side, model.output_side)
        yield from around(model.pretransform, model.io_channels, sides, path)


def within_pretransform(pretransform: PretransformConfig, prefix: str) -> Iterator[Problem]:
    """What a pretransform says against itself."""
    match pretransform:
        case AutoencoderPretransformConfig():
            yield from autoencoder(pretransform.config, f"{prefix}config")
        case PatchedPretransformConfig(config=parameters):
            if parameters.patch_size % parameters.oversampling:
                yield Problem(
                    f"{prefix}config.oversampling",
                    f"{parameters.oversampling} does not divide patch_size {parameters.patch_size}",
                )
        case DACPretrainedPretransformConfig():
            for problem in pretransform.contradictions():
                yield Problem(f"{prefix}{problem.path}", problem.message)
        case (
            WaveletPretransformConfig()
            | PQMFPretransformConfig()
            | AudiocraftPretrainedPretransformConfig()
        ):
            pass
