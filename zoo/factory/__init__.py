"""Config to network. One `match` for each union of the config; nothing is looked up by string.

The functions take a config object, or a dict in the form of stable-audio-tools, which is never
changed. They raise ConfigError before anything is allocated.
"""

from zoo.factory.bottlenecks import create_bottleneck_from_config
from zoo.factory.models import (
    create_autoencoder_from_config,
    create_diffAE_from_config,
    create_hyperencoder_from_config,
    create_model_from_config,
    create_pretransform_from_config,
)
from zoo.factory.networks import create_decoder_from_config, create_encoder_from_config

__all__ = [
    "create_autoencoder_from_config",
    "create_bottleneck_from_config",
    "create_decoder_from_config",
    "create_diffAE_from_config",
    "create_encoder_from_config",
    "create_hyperencoder_from_config",
    "create_model_from_config",
    "create_pretransform_from_config",
]
