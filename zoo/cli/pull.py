"""`zoo pull`."""

from __future__ import annotations

from typing import Annotated

import typer

from zoo.cli.models import RevisionOption


def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="owner/name on the Hugging Face hub (and a folder or file in it), a name of "
            "`zoo list models` with weights, or a folder or file here"
        ),
    ],
    revision: RevisionOption = None,
) -> None:
    """Download a trained model, check it and say what it is. Nothing is trained or changed."""
    import torch

    from zoo.checkpoints.hub import verify
    from zoo.checkpoints.reading import read_checkpoint
    from zoo.checkpoints.sources import find_source
    from zoo.checkpoints.weights import check_weights
    from zoo.factory import create_model_from_config

    found = find_source(source, revision)
    checked = verify(found.path)
    checkpoint = read_checkpoint(found.path, part=found.part)
    with torch.device("meta"):
        model = create_model_from_config(found.config or checkpoint.require_config())
    report = check_weights(model, checkpoint.weights, str(found.path), layout=checkpoint.layout)
    print(found.path)
    print(f"{checkpoint.layout}: {report}" + (", checksum right" if checked else ""))
    channels, rate = model.io_channels, model.sample_rate
    frames = rate / model.downsampling_ratio
    print(f"audio {channels} channels at {rate} Hz, latents {model.latent_dim} at {frames:.2f} Hz")
    published = model.config.published
    if published is not None and published.licence:
        print(f"licence of the weights: {published.licence}")
    if published is not None and published.note:
        print(f"note: {published.note}")
