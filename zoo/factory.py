"""Config to network. One `match` for each union of the config; nothing is looked up by string.

The functions take a config object, or a dict in the form of stable-audio-tools, which is never
changed. They raise ConfigError before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from torch import nn

from zoo.config.base import Config
from zoo.config.bottlenecks import (
    BottleneckConfig,
    DACRVQBottleneckConfig,
    DACRVQVAEBottleneckConfig,
    DitheredFSQBottleneckConfig,
    FSQBottleneckConfig,
    L2NormBottleneckConfig,
    RVQBottleneckConfig,
    RVQVAEBottleneckConfig,
    SoftNormBottleneckConfig,
    TanhBottleneckConfig,
    VAEBottleneckConfig,
    WassersteinBottleneckConfig,
)
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
from zoo.config.load import load_config
from zoo.config.local_attention import LocalAttentionDecoderConfig, LocalAttentionEncoderConfig
from zoo.config.model import (
    AutoencoderContainer,
    AutoencoderPretransformConfig,
    DiffusionAutoencoderConfigContainer,
    HyperencoderConfigContainer,
    PretransformConfig,
    StandardAutoencoderConfigContainer,
)
from zoo.config.pretransforms import (
    PatchedPretransformConfig,
    PQMFPretransformConfig,
    WaveletPretransformConfig,
)
from zoo.config.problems import validate_any
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.config.rules import check_pretransform
from zoo.config.taae import TAAEDecoderConfig, TAAEEncoderConfig
from zoo.errors import ConfigError
from zoo.models.autoencoder import AudioAutoencoder
from zoo.models.pretransform import AutoencoderPretransform, PretrainedPretransform
from zoo.nets.bottlenecks.base import Bottleneck
from zoo.nets.bottlenecks.dac_rvq import DACRVQBottleneck, DACRVQVAEBottleneck
from zoo.nets.bottlenecks.dithered_fsq import DitheredFSQBottleneck
from zoo.nets.bottlenecks.fsq import FSQBottleneck
from zoo.nets.bottlenecks.l2_norm import L2Bottleneck
from zoo.nets.bottlenecks.rvq import RVQBottleneck, RVQVAEBottleneck
from zoo.nets.bottlenecks.softnorm import SoftNormBottleneck
from zoo.nets.bottlenecks.tanh import TanhBottleneck
from zoo.nets.bottlenecks.vae import VAEBottleneck
from zoo.nets.bottlenecks.wasserstein import WassersteinBottleneck
from zoo.nets.dac import DacDecoder, DacEncoder
from zoo.nets.local_attention import LocalAttentionDecoder, LocalAttentionEncoder
from zoo.nets.oobleck import OobleckDecoder, OobleckEncoder
from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.pretransforms.patched import PatchedPretransform
from zoo.nets.pretransforms.pqmf import PQMFPretransform
from zoo.nets.pretransforms.wavelet import WaveletPretransform
from zoo.nets.seanet import SeanetDecoder, SeanetEncoder
from zoo.nets.taae import TAAEDecoder, TAAEEncoder

Source = Mapping[str, Any] | Config


def create_model_from_config(config: Source) -> AudioAutoencoder:
    """The model of a container, in eval mode, its config in `model.config`."""
    match container := load_config(config):
        case StandardAutoencoderConfigContainer() | HyperencoderConfigContainer():
            return _autoencoder(container)
        case DiffusionAutoencoderConfigContainer():
            raise ConfigError("diffusion autoencoders can't be built by this version of zoo")
        case _:
            assert_never(container)


def create_autoencoder_from_config(config: Source) -> AudioAutoencoder:
    """A standard autoencoder in eval mode, its config in `model.config`."""
    container = load_config(config)
    if not isinstance(container, StandardAutoencoderConfigContainer):
        raise ConfigError(f"a {container.model_type} is not a standard autoencoder")
    return _autoencoder(container)


def create_hyperencoder_from_config(config: Source) -> AudioAutoencoder:
    """An autoencoder over another autoencoder's latents, which its pretransform holds."""
    container = load_config(config)
    if not isinstance(container, HyperencoderConfigContainer):
        raise ConfigError(f"a {container.model_type} is not a hyperencoder")
    return _autoencoder(container)


def _autoencoder(container: AutoencoderContainer) -> AudioAutoencoder:
    parts = container.model
    model = AudioAutoencoder(
        encoder=create_encoder_from_config(parts.encoder),
        decoder=create_decoder_from_config(parts.decoder),
        latent_dim=parts.latent_dim,
        downsampling_ratio=parts.downsampling_ratio,
        sample_rate=container.sample_rate,
        io_channels=parts.io_channels,
        bottleneck=parts.bottleneck and create_bottleneck_from_config(parts.bottleneck),
        pretransform=parts.pretransform
        and create_pretransform_from_config(parts.pretransform, container.sample_rate),
        in_channels=parts.in_channels,
        out_channels=parts.out_channels,
        soft_clip=parts.decoder.soft_clip,
    )
    model.config = container
    return model.eval()


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


def create_bottleneck_from_config(config: Mapping[str, Any] | BottleneckConfig) -> Bottleneck:
    """A bottleneck, its weights frozen unless `requires_grad`."""
    part: BottleneckConfig = validate_any(BottleneckConfig, config)
    if problems := list(part.contradictions()):
        raise ConfigError(problems)
    match part:
        case VAEBottleneckConfig():
            bottleneck = VAEBottleneck()
        case TanhBottleneckConfig():
            bottleneck = TanhBottleneck(**dict(part.config))
        case L2NormBottleneckConfig():
            bottleneck = L2Bottleneck()
        case WassersteinBottleneckConfig():
            bottleneck = WassersteinBottleneck(**dict(part.config))
        case SoftNormBottleneckConfig():
            bottleneck = SoftNormBottleneck(**dict(part.config))
        case RVQBottleneckConfig():
            bottleneck = RVQBottleneck(**part.config.model_dump())
        case RVQVAEBottleneckConfig():
            bottleneck = RVQVAEBottleneck(**part.config.model_dump())
        case DACRVQBottleneckConfig():
            bottleneck = DACRVQBottleneck(**dict(part.config))
        case DACRVQVAEBottleneckConfig():
            bottleneck = DACRVQVAEBottleneck(**dict(part.config))
        case FSQBottleneckConfig():
            bottleneck = FSQBottleneck(**part.config.model_dump())
        case DitheredFSQBottleneckConfig():
            bottleneck = DitheredFSQBottleneck(**dict(part.config))
        case _:
            assert_never(part)
    return bottleneck.requires_grad_(part.requires_grad)


def create_pretransform_from_config(
    config: Mapping[str, Any] | PretransformConfig, sample_rate: int
) -> Pretransform:
    """A pretransform for audio at `sample_rate` Hz, its weights frozen unless `enable_grad`.

    Those of a published codec are random too: `zoo.from_config` reads them.
    """
    part: PretransformConfig = validate_any(PretransformConfig, config)
    check_pretransform(part)
    match part:
        case WaveletPretransformConfig():
            pretransform = WaveletPretransform(**dict(part.config))
        case PatchedPretransformConfig():
            pretransform = PatchedPretransform(**dict(part.config))
        case PQMFPretransformConfig():
            pretransform = PQMFPretransform(**dict(part.config))
        case AutoencoderPretransformConfig():
            inner = StandardAutoencoderConfigContainer(sample_rate=sample_rate, model=part.config)
            pretransform = AutoencoderPretransform(
                _autoencoder(inner),
                scale=part.scale,
                model_half=part.model_half,
                iterate_batch=part.iterate_batch,
                chunked=part.chunked,
            )
        case DACPretrainedPretransformConfig(config=options):
            pretransform = PretrainedPretransform(
                create_autoencoder_from_config(part.autoencoder),
                quantize_on_decode=options.quantize_on_decode,
                scale=options.scale,
                chunked=options.chunked,
            )
        case AudiocraftPretrainedPretransformConfig(config=options):
            pretransform = PretrainedPretransform(
                create_autoencoder_from_config(part.autoencoder),
                quantize_on_decode=options.quantize_on_decode,
                scale=options.scale,
            )
        case _:
            assert_never(part)
    pretransform.enable_grad = part.enable_grad
    # Where they are trained, each part inside has its own `requires_grad`.
    return pretransform if part.enable_grad else pretransform.requires_grad_(False)
