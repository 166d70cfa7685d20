"""From what a user names to a weight file on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.checkpoints.download import cached, digest
from zoo.checkpoints.files import RUNS, find_checkpoint
from zoo.checkpoints.hub import is_repository, pull, pulled
from zoo.checkpoints.reading import Checkpoint, read_checkpoint
from zoo.config.library import find, folder, list_models, model_named
from zoo.config.load import load_config
from zoo.config.model import ModelContainer
from zoo.config.pretrained import PublishedWeightsConfig
from zoo.errors import CheckpointError, ConfigError, did_you_mean


@dataclass(frozen=True)
class Source:
    """A weight file, and what a config that names it says of it."""

    path: Path
    part: str | None = None
    config: ModelContainer | None = None


def find_source(source: str | Path, revision: str | None = None) -> Source:
    """The weight file of a path, of a name of `zoo.list_models(pretrained=True)` or of a hub's.

    Args:
        source: what is looked for, in this order; of the hub owner/name, perhaps with a folder or
            file in the repository behind it, and @revision behind that.
        revision: of the repository on the hub: commit, tag or branch.

    Raises: CheckpointError, with what to do.
    """
    name = str(source)
    if Path(source).exists():
        return Source(find_checkpoint(source))
    if model_named(name):
        container = load_config(name)
        if container.published is None:
            raise CheckpointError(
                f"'{name}' is a config without weights; train it (`zoo train model={name}`) "
                f"or give its weights: --model weights.safetensors --config {name}"
            )
        return published_source(container, name, revision)
    if is_repository(name) and not name.startswith(f"{RUNS}/"):
        return Source(pull(name, revision))
    hint = did_you_mean(name, list_models(pretrained=True))
    raise CheckpointError(f"{name}: no such file or folder{hint}")


def read_source(source: str | Path) -> Checkpoint:
    """The averaged weights of what `find_source` takes. Raises: CheckpointError."""
    found = find_source(source)
    checkpoint = read_checkpoint(found.path, part=found.part)
    return replace(checkpoint, config=found.config.to_dict()) if found.config else checkpoint


def published_source(
    container: ModelContainer, config: str | Path | None, revision: str | None = None
) -> Source:
    """The weights that a config names.

    Args:
        config: its name or path, if it has one.

    Raises:
        ConfigError: where it names none.
        CheckpointError: where they can't be had, with what to do.
    """
    given = container.published
    if given is None:
        raise ConfigError(
            "names no published weights; zoo.list_models(pretrained=True): "
            f"{', '.join(list_models(pretrained=True))}",
            str(config or ""),
        )
    if given.repository is not None:
        path = pulled(given.repository, given.file, revision or given.revision)
        if path is None:
            raise CheckpointError(f"{given.repository}: has no file {given.file}")
    elif given.url is not None:
        path = _from_address(given, given.url)
    else:
        beside = folder("configs") if config is None else find("configs", str(config)).parent
        path = _beside(given, beside)
    return Source(path, given.part, container)


def _beside(given: PublishedWeightsConfig, folder: Path) -> Path:
    path = find_checkpoint(folder / given.file)
    if given.sha256 is not None and not (found := digest(path)).startswith(given.sha256):
        raise CheckpointError(
            f"{path}: not the weights that its config names: its sha256 is {found}, but should be "
            f"{given.sha256}; install zoo again, or take the file from where the config comes from"
        )
    return path


def _from_address(given: PublishedWeightsConfig, url: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return cached(url, Path(root) / "zoo" / given.file, given.file, given.sha256)
