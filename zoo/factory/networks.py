"""Encoders and decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from torch import nn

from zoo.config.decoders import (
    DacDecoderConfig,
    DecoderConfig,
    OobleckDecoderConfig,
    SeanetDecoderConfig,
)
from zoo.config.encoders import (
    DacEncoderConfig,
    EncoderConfig,
    OobleckEncoderConfig,
    SeanetEncoderConfig,
)
from zoo.config.local_attention import LocalAttentionDecoderConfig, LocalAttentionEncoderConfig
from zoo.config.problems import validate_any
from zoo.config.taae import TAAEDecoderConfig, TAAEEncoderConfig
from zoo.nets.dac import DacDecoder, DacEncoder
from zoo.nets.local_attention import LocalAttentionDecoder, LocalAttentionEncoder
from zoo.nets.oobleck import OobleckDecoder, OobleckEncoder
from zoo.nets.seanet import SeanetDecoder, SeanetEncoder
from zoo.nets.taae import TAAEDecoder, TAAEEncoder


def create_encoder_from_config(config: Mapping[str, Any] | EncoderConfig) -> nn.Module:
    """An encoder, its weights frozen unless `requires_grad`."""
    part: EncoderConfig = validate_any(EncoderConfig, config)
    match part:
        case OobleckEncoderConfig():
            encoder = OobleckEncoder(**dict(part.config))
        case DacEncoderConfig():
            encoder = DacEncoder(**dict(part.config))
        case SeanetEncoderConfig():
            encoder = SeanetEncoder(**dict(part.config))
        case TAAEEncoderConfig():
            encoder = TAAEEncoder(**dict(part.config))
        case LocalAttentionEncoderConfig():
            encoder = LocalAttentionEncoder(**dict(part.config))
        case _:
            assert_never(part)
    return encoder.requires_grad_(part.requires_grad)


def create_decoder_from_config(config: Mapping[str, Any] | DecoderConfig) -> nn.Module:
    """A decoder, its weights frozen unless `requires_grad`."""
    part: DecoderConfig = validate_any(DecoderConfig, config)
    match part:
        case OobleckDecoderConfig():
            decoder = OobleckDecoder(**dict(part.config))
        case DacDecoderConfig():
            decoder = DacDecoder(**dict(part.config))
        case SeanetDecoderConfig():
            decoder = SeanetDecoder(**dict(part.config))
        case TAAEDecoderConfig():
            decoder = TAAEDecoder(**dict(part.config))
        case LocalAttentionDecoderConfig():
            decoder = LocalAttentionDecoder(**dict(part.config))
        case _:
            assert_never(part)
    return decoder.requires_grad_(part.requires_grad)
