"""What a pretransform says against the model around it."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.config.model import AutoencoderPretransformConfig, PretransformConfig
from zoo.config.pretransforms import (
    PatchedPretransformConfig,
    PQMFPretransformConfig,
    WaveletPretransformConfig,
)
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.errors import Problem

# A key that says how many audio channels a side has, and its value.
Side = tuple[str, int]


def around(
    pretransform: PretransformConfig, io_channels: int, sides: tuple[Side, Side], path: str
) -> Iterator[Problem]:
    """What it says against the audio channels of the model around it.

    Args:
        sides: of the model's input and of its output.
        path: of the model.
    """
    wanted: list[Side] = list(sides)
    match pretransform:
        case PatchedPretransformConfig() | PQMFPretransformConfig():
            # They take any number, so both sides may differ from what is stated.
            wanted = [("io_channels", io_channels)]
            given = [("channels", pretransform.config.channels)]
        case WaveletPretransformConfig():
            given = [("channels", pretransform.config.channels)] * 2
        case AutoencoderPretransformConfig(config=inner):
            given = [inner.input_side, inner.output_side]
        case DACPretrainedPretransformConfig() | AudiocraftPretrainedPretransformConfig():
            for name, channels in dict.fromkeys(wanted):
                if channels != 1:
                    yield Problem(
                        f"{path}.pretransform.type",
                        f"'{pretransform.type}' is mono, but {path}.{name} is {channels}",
                    )
            return
    # Once where `io_channels` stands for both sides.
    for (key, channels), (name, needed) in dict.fromkeys(zip(given, wanted, strict=True)):
        if channels != needed:
            yield Problem(
                f"{path}.pretransform.config.{key}", f"{channels}, but {path}.{name} is {needed}"
            )


def rates(
    pretransform: PretransformConfig | None, sample_rate: int, path: str
) -> Iterator[Problem]:
    """Whether the published codecs inside are made for the rate of the file.

    Args:
        path: of the model around it.
    """
    match pretransform:
        case DACPretrainedPretransformConfig() | AudiocraftPretrainedPretransformConfig():
            made_for = pretransform.autoencoder["sample_rate"]
            if made_for != sample_rate:
                yield Problem(
                    f"{path}.pretransform.config.model_type",
                    f"made for {made_for} Hz, but sample_rate is {sample_rate}",
                )
        case AutoencoderPretransformConfig(config=inner):
            yield from rates(inner.pretransform, sample_rate, f"{path}.pretransform.config")
        case _:
            pass
