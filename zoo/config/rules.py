"""What the parts of a model say against each other. Every contradiction is found at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderContainer,
    AutoencoderPretransformConfig,
    HyperencoderConfigContainer,
    PretransformConfig,
)
from zoo.config.pretransforms import (
    PatchedPretransformConfig,
    PQMFPretransformConfig,
    WaveletPretransformConfig,
)
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.errors import ConfigError, Problem

Side = tuple[str, int]


def check(container: AutoencoderContainer, source: str = "") -> None:
    """Raises: ConfigError with every contradiction in `container`."""
    problems = list(contradictions(container))
    if problems:
        raise ConfigError(problems, source)


def check_pretransform(pretransform: PretransformConfig) -> None:
    """Raises: ConfigError with every contradiction in a pretransform by itself."""
    problems = list(_within(pretransform, ""))
    if problems:
        raise ConfigError(problems)


def contradictions(container: AutoencoderContainer) -> Iterator[Problem]:
    """Every contradiction, with key paths as the user wrote them."""
    yield from _network(container.model, "model")
    yield from _rates(container.model, container.sample_rate, "model")
    yield from _file(container)
    if isinstance(container, HyperencoderConfigContainer) and not isinstance(
        container.model.pretransform, AutoencoderPretransformConfig
    ):
        yield Problem("model.pretransform", "a hyperencoder needs one of type 'autoencoder'")


def _network(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        for problem in part.contradictions():
            yield Problem(f"{path}.{name}.{problem.path}", problem.message)
    if model.bottleneck:
        for problem in model.bottleneck.contradictions(model.latent_dim):
            yield Problem(f"{path}.bottleneck.{problem.path}", problem.message)
    yield from _ratios(model, path)
    yield from _latents(model, path)
    yield from _channels(model, path)
    if model.pretransform:
        yield from _within(model.pretransform, f"{path}.pretransform.")
        yield from _around(model, model.pretransform, path)


def _ratios(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    around = model.pretransform.ratio if model.pretransform else 1
    times = ""
    if model.pretransform and around > 1:
        times = f" (x {around} of the pretransform's {model.pretransform.ratio_key})"
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        if part.ratio * around != model.downsampling_ratio:
            yield Problem(
                f"{path}.{name}.config.{part.ratio_key}",
                f"{'x'.join(map(str, part.factors))}{times} = {part.ratio * around}, "
                f"but {path}.downsampling_ratio is {model.downsampling_ratio}",
            )


def _latents(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    given, wanted = model.encoder.output_channels, encoder_channels(model)
    if given != wanted:
        why = _why(model.bottleneck)
        yield Problem(
            f"{path}.encoder.config.{model.encoder.latent_key}",
            f"{given}{model.encoder.width_words}, but must be {wanted} for "
            f"{path}.latent_dim {model.latent_dim}{why}",
        )
    given, wanted = model.decoder.input_channels, _decoder_channels(model)
    if given != wanted:
        noise = getattr(model.bottleneck and model.bottleneck.config, "noise_augment_dim", None)
        why = _why(model.bottleneck) + ("" if noise is None else f" of noise_augment_dim {noise}")
        yield Problem(
            f"{path}.decoder.config.{model.decoder.latent_key}",
            f"{given}, but must be {wanted} for {path}.latent_dim {model.latent_dim}{why}",
        )


def encoder_channels(model: AutoencoderConfig) -> int:
    """Channels that the encoder of `model` must give."""
    if model.bottleneck is None:
        return model.latent_dim
    return model.bottleneck.encoder_channels(model.latent_dim)


def _decoder_channels(model: AutoencoderConfig) -> int:
    if model.bottleneck is None:
        return model.latent_dim
    return model.bottleneck.decoder_channels(model.latent_dim)


def _why(bottleneck: BottleneckConfig | None) -> str:
    return f" and a '{bottleneck.type}' bottleneck" if bottleneck else " without a bottleneck"


def _channels(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    encoder = (f"encoder.config.{model.encoder.audio_key}", model.encoder.input_channels)
    decoder = (f"decoder.config.{model.decoder.audio_key}", model.decoder.output_channels)
    sides = ((encoder, _audio(model, "in_channels")), (decoder, _audio(model, "out_channels")))
    for (part, given), (name, audio) in sides:
        wanted, around = audio, ""
        if model.pretransform:
            wanted = model.pretransform.encoded_channels(audio)
            around = f" through the '{model.pretransform.type}' pretransform"
        if given != wanted:
            yield Problem(
                f"{path}.{part}", f"{given}, but must be {wanted} for {path}.{name} {audio}{around}"
            )


def _within(pretransform: PretransformConfig, prefix: str) -> Iterator[Problem]:
    """What a pretransform says against itself."""
    match pretransform:
        case AutoencoderPretransformConfig():
            yield from _network(pretransform.config, f"{prefix}config")
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


def _around(
    model: AutoencoderConfig, pretransform: PretransformConfig, path: str
) -> Iterator[Problem]:
    """What a pretransform says against the audio channels of the model around it."""
    sides = [_audio(model, "in_channels"), _audio(model, "out_channels")]
    match pretransform:
        case PatchedPretransformConfig() | PQMFPretransformConfig():
            # They take any number, so both sides may differ from what is stated.
            sides = [("io_channels", model.io_channels)]
            given = [("channels", pretransform.config.channels)]
        case WaveletPretransformConfig():
            given = [("channels", pretransform.config.channels)] * 2
        case AutoencoderPretransformConfig(config=inner):
            given = [_audio(inner, "in_channels"), _audio(inner, "out_channels")]
        case DACPretrainedPretransformConfig() | AudiocraftPretrainedPretransformConfig():
            for name, wanted in dict.fromkeys(sides):
                if wanted != 1:
                    yield Problem(
                        f"{path}.pretransform.type",
                        f"'{pretransform.type}' is mono, but {path}.{name} is {wanted}",
                    )
            return
    # Once where `io_channels` stands for both sides.
    for (key, channels), (name, wanted) in dict.fromkeys(zip(given, sides, strict=True)):
        if channels != wanted:
            yield Problem(
                f"{path}.pretransform.config.{key}", f"{channels}, but {path}.{name} is {wanted}"
            )


def _rates(model: AutoencoderConfig, sample_rate: int, path: str) -> Iterator[Problem]:
    """Whether the published codecs inside are made for the rate of the file."""
    match model.pretransform:
        case DACPretrainedPretransformConfig() | AudiocraftPretrainedPretransformConfig():
            made_for = model.pretransform.autoencoder["sample_rate"]
            if made_for != sample_rate:
                yield Problem(
                    f"{path}.pretransform.config.model_type",
                    f"made for {made_for} Hz, but sample_rate is {sample_rate}",
                )
        case AutoencoderPretransformConfig(config=inner):
            yield from _rates(inner, sample_rate, f"{path}.pretransform.config")
        case _:
            pass


def _audio(model: AutoencoderConfig, side: Literal["in_channels", "out_channels"]) -> Side:
    """The key that says how many audio channels a side has, and its value."""
    channels = model.in_channels if side == "in_channels" else model.out_channels
    return (side, channels) if channels else ("io_channels", model.io_channels)


def _file(container: AutoencoderContainer) -> Iterator[Problem]:
    model, ratio = container.model, container.model.downsampling_ratio
    if container.sample_size and container.sample_size % ratio:
        yield Problem(
            "sample_size",
            f"{container.sample_size} is not a multiple of model.downsampling_ratio {ratio}",
        )
    sides = {model.in_channels or model.io_channels, model.out_channels or model.io_channels}
    if container.audio_channels and container.audio_channels not in sides:
        allowed = " or ".join(str(side) for side in sorted(sides))
        yield Problem(
            "audio_channels", f"{container.audio_channels}, but the model's audio has {allowed}"
        )
