"""What the parts of a model say against each other. Every contradiction is found at once."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.model import AutoencoderConfig, StandardAutoencoderConfigContainer
from zoo.errors import ConfigError, Problem


def check(container: StandardAutoencoderConfigContainer, source: str = "") -> None:
    """Raises: ConfigError with every contradiction in `container`."""
    problems = list(contradictions(container))
    if problems:
        raise ConfigError(problems, source)


def contradictions(container: StandardAutoencoderConfigContainer) -> Iterator[Problem]:
    """Every contradiction, with key paths as the user wrote them."""
    model = container.model
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        for problem in part.contradictions():
            yield Problem(f"model.{name}.{problem.path}", problem.message)
    if model.bottleneck is not None:
        for problem in model.bottleneck.contradictions(model.latent_dim):
            yield Problem(f"model.bottleneck.{problem.path}", problem.message)
    yield from _ratios(model)
    yield from _latents(model)
    yield from _channels(model)
    yield from _file(container)


def _ratios(model: AutoencoderConfig) -> Iterator[Problem]:
    around = model.pretransform.ratio if model.pretransform else 1
    times = f" (x {around} of the pretransform)" if around > 1 else ""
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        if part.ratio * around != model.downsampling_ratio:
            yield Problem(
                f"model.{name}.config.{part.ratio_key}",
                f"{'x'.join(map(str, part.factors))}{times} = {part.ratio * around}, "
                f"but model.downsampling_ratio is {model.downsampling_ratio}",
            )


def _latents(model: AutoencoderConfig) -> Iterator[Problem]:
    given, wanted = model.encoder.output_channels, encoder_channels(model)
    if given != wanted:
        why = _why(model.bottleneck, wanted != model.latent_dim)
        yield Problem(
            f"model.encoder.config.{model.encoder.latent_key}",
            f"{given}, but must be {wanted} for model.latent_dim {model.latent_dim}{why}",
        )
    given, wanted = model.decoder.input_channels, _decoder_channels(model)
    if given != wanted:
        why = _why(model.bottleneck, wanted != model.latent_dim)
        yield Problem(
            f"model.decoder.config.{model.decoder.latent_key}",
            f"{given}, but must be {wanted} for model.latent_dim {model.latent_dim}{why}",
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


def _why(bottleneck: BottleneckConfig | None, differs: bool) -> str:
    return f" and a '{bottleneck.type}' bottleneck" if bottleneck and differs else ""


def _channels(model: AutoencoderConfig) -> Iterator[Problem]:
    sides = (
        ("encoder", model.encoder.audio_key, model.encoder.input_channels, "in_channels"),
        ("decoder", model.decoder.audio_key, model.decoder.output_channels, "out_channels"),
    )
    for part, key, given, override in sides:
        audio = getattr(model, override) or model.io_channels
        name = override if getattr(model, override) else "io_channels"
        wanted, around = audio, ""
        if model.pretransform:
            wanted = model.pretransform.encoded_channels(audio)
            around = f" through the '{model.pretransform.type}' pretransform"
        if given != wanted:
            yield Problem(
                f"model.{part}.config.{key}",
                f"{given}, but must be {wanted} for model.{name} {audio}{around}",
            )
    if model.pretransform and model.pretransform.audio_channels != model.io_channels:
        yield Problem(
            "model.pretransform.config.channels",
            f"{model.pretransform.audio_channels}, but model.io_channels is {model.io_channels}",
        )


def _file(container: StandardAutoencoderConfigContainer) -> Iterator[Problem]:
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
