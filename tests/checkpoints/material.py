"""Models of published files, ours and upstream's."""

from __future__ import annotations

import zoo
from tests.oracle import import_upstream
from zoo.checkpoints import published
from zoo.checkpoints.weights import load_weights


def upstreams(found: published.PublishedAutoencoder):
    """Upstream's own class from the config that was read, with the weights that were read."""
    import copy

    factory = import_upstream("stable_audio_tools.models.autoencoders")
    model = factory.create_autoencoder_from_config(copy.deepcopy(dict(found.config)))
    model.load_state_dict(dict(found.weights))
    return model.eval()


def ours(found: published.PublishedAutoencoder):
    """Our model from the config that was read, with the weights that were read."""
    model = zoo.from_config(found.config)
    load_weights(model, found.weights, "file")
    return model
