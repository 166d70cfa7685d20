"""Models and pretransforms; these may hold models again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from zoo.config.base import Config
from zoo.config.load import load_config
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
from zoo.errors import ConfigError
from zoo.factory.bottlenecks import create_bottleneck_from_config
from zoo.factory.diffusion import create_diffusion_network, create_process
from zoo.factory.networks import create_decoder_from_config, create_encoder_from_config
from zoo.models.autoencoder import AudioAutoencoder
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder
from zoo.models.pretransform import AutoencoderPretransform, PretrainedPretransform
from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.pretransforms.patched import PatchedPretransform
from zoo.nets.pretransforms.pqmf import PQMFPretransform
from zoo.nets.pretransforms.wavelet import WaveletPretransform

Source = Mapping[str, Any] | Config


def create_model_from_config(config: Source) -> AudioAutoencoder:
    """The model of a container, in eval mode, its config in `model.config`."""
    match container := load_config(config):
        case StandardAutoencoderConfigContainer() | HyperencoderConfigContainer():
            return _autoencoder(container)
        case DiffusionAutoencoderConfigContainer():
            return _diffusion_autoencoder(container)
        case _:
            assert_never(container)


def create_autoencoder_from_config(config: Source) -> AudioAutoencoder:
    """A standard autoencoder in eval mode, its config in `model.config`."""
    container = load_config(config)
    if not isinstance(container, StandardAutoencoderConfigContainer):
        raise ConfigError(f"a {container.model_type} is not a standard autoencoder")
    return _autoencoder(container)


def create_diffAE_from_config(config: Source) -> DiffusionAutoencoder:  # noqa: N802 – upstream's
    """A diffusion autoencoder in eval mode, its config in `model.config`."""
    container = load_config(config)
    if not isinstance(container, DiffusionAutoencoderConfigContainer):
        raise ConfigError(f"a model_type {container.model_type} is not a diffusion autoencoder")
    return _diffusion_autoencoder(container)


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


def _diffusion_autoencoder(container: DiffusionAutoencoderConfigContainer) -> DiffusionAutoencoder:
    parts = container.model
    model = DiffusionAutoencoder(
        diffusion=create_diffusion_network(parts.diffusion),
        process=create_process(parts.diffusion),
        diffusion_ratio=parts.diffusion.ratio,
        encoder=parts.encoder and create_encoder_from_config(parts.encoder),
        decoder=parts.decoder and create_decoder_from_config(parts.decoder),
        condition_ratio=parts.decoder.ratio if parts.decoder else 1,
        inner_channels=parts.inner_channels,
        latent_dim=parts.latent_dim,
        downsampling_ratio=parts.downsampling_ratio,
        sample_rate=container.sample_rate,
        io_channels=parts.io_channels,
        bottleneck=parts.bottleneck and create_bottleneck_from_config(parts.bottleneck),
        pretransform=parts.pretransform
        and create_pretransform_from_config(parts.pretransform, container.sample_rate),
        in_channels=parts.in_channels,
        out_channels=parts.out_channels,
        soft_clip=parts.decoder is not None and parts.decoder.soft_clip,
        sampler=parts.decoding.sampler,
        steps=parts.decoding.steps,
    )
    model.config = container
    return model.eval()


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
