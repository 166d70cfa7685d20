"""A model as a folder for another tool, with its card."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from zoo import __version__, interop
from zoo.checkpoints import to_diffusers
from zoo.checkpoints.card import Card
from zoo.checkpoints.files import CONFIG_KEY, TRAINING_KEY
from zoo.checkpoints.folder import CARD, FILES, check_target, whole_folder
from zoo.checkpoints.tensor_file import write_tensors
from zoo.checkpoints.training_facts import TrainingFacts, training_facts
from zoo.config.model import ModelContainer
from zoo.errors import CheckpointError, ConfigError, ZooError
from zoo.inference.export import usage
from zoo.inference.export.networks import Side, sides
from zoo.inference.export.onnx import require_onnx, write_onnx
from zoo.inference.export.program import write_program
from zoo.load import from_pretrained
from zoo.models.autoencoder import AudioAutoencoder

Format = Literal["zoo", "stable-audio-tools", "diffusers", "onnx", "torch-export"]
_TRACED = ("onnx", "torch-export")


@dataclass(frozen=True)
class Exported:
    """A folder that has been written.

    Args:
        files: names of its files.
        notes: what was compared, and with what result, in words.
    """

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def export(
    model: AudioAutoencoder | str | Path,
    format: Format,  # noqa: A002 – the name of the option
    folder: str | Path,
    *,
    half: bool = False,
    licence: str | None = None,
    title: str | None = None,
    force: bool = False,
) -> Exported:
    """Writes a model as files of `format`, with a card, whole or not at all.

    Args:
        model: what is exported, or what `from_pretrained` takes.
        format: "zoo" and "stable-audio-tools" are model.safetensors and model_config.json,
            "diffusers" its AutoencoderOobleck, "onnx" and "torch-export" an encoder and a decoder.
        folder: replaced if it holds nothing but what `export` has written; must be empty otherwise.
        half: weights in float16, for the first three formats.
        licence: of the weights, for the card.
        title: name of the model in the card; by default that of its recipe, else of the folder.
        force: write into a folder with other files too.

    Raises:
        ConfigError: where the format has no such network, with every reason.
        CheckpointError: for a model that can't be read, traced or compared, or a folder that holds
            something else.
        OSError: where it can't be written.
    """
    if format not in get_args(Format):
        raise ZooError(f"format '{format}': unknown (allowed: {', '.join(get_args(Format))})")
    if half and format in _TRACED:
        raise ZooError(f"half precision: not for {format}, whose files compute in single precision")
    if format == "onnx":
        require_onnx()
    folder = Path(folder)
    check_target(folder, force)
    if not isinstance(model, AudioAutoencoder):
        model = from_pretrained(model)
    container: ModelContainer | None = model.config
    if container is None:
        raise ConfigError("the model knows no config: build it with zoo.from_config")
    published = container.published
    licence = licence or (published and published.licence)
    container = container.model_copy(update={"published": None, "schema_": None})
    facts = _facts(model)
    # Before anything is written: whether the format has such a network.
    write = _writer(format, model, container, facts, half)
    with _named(folder), whole_folder(folder, force) as part:
        notes = write(part)
        names = sorted(file.name for file in part.iterdir())
        card = Card(
            title=title or facts.recipe or folder.absolute().name,
            container=container,
            parameters=sum(weight.numel() for weight in model.parameters()),
            layout=getattr(model.loaded, "layout", ""),
            facts=facts,
            usage=usage.of_format(format, container),
            files={name: FILES[name] for name in names},
            version=__version__,
            half=half,
            licence=licence,
            note=published and published.note,
            tags=usage.tags(format, container),
        )
        (part / CARD).write_text(card.text(), encoding="utf-8")
    return Exported(folder, (*names, CARD), tuple(notes))


def _writer(
    format: Format,  # noqa: A002
    model: AudioAutoencoder,
    container: ModelContainer,
    facts: TrainingFacts,
    half: bool,
) -> Callable[[Path], list[str]]:
    """What writes the files into a folder. Raises: ConfigError, CheckpointError."""
    own = container.to_dict()
    match format:
        case "zoo" | "stable-audio-tools" | "diffusers":
            weights = dict(model.state_dict())
            metadata = {"format": "pt", TRAINING_KEY: facts.to_json()}
            names = ("model_config.json", "model.safetensors")
            config: Mapping[str, Any] = own
            if format == "stable-audio-tools":
                config = interop.upstream_config(container)
            elif format == "diffusers":
                config = to_diffusers.diffusers_config(container)
                weights = to_diffusers.from_upstream(weights)
                names = ("config.json", "diffusion_pytorch_model.safetensors")
            else:
                metadata[CONFIG_KEY] = json.dumps(own)
            weights = _halved(weights) if half else weights
            return lambda folder: _write_weights(folder, names, config, weights, metadata)
        case "onnx" | "torch-export":
            one = write_onnx if format == "onnx" else write_program
            return lambda folder: _write_sides(folder, own, sides(model), one)


def _write_weights(
    folder: Path,
    names: tuple[str, str],
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, str],
) -> list[str]:
    _write_json(folder / names[0], config)
    write_tensors(folder / names[1], weights, metadata)
    return []


def _write_sides(
    folder: Path,
    config: Mapping[str, Any],
    both: tuple[Side, ...],
    write: Callable[[Side, Path], str],
) -> list[str]:
    notes = [write(side, folder) for side in both]
    _write_json(folder / "model_config.json", config)
    return notes


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In half precision. Raises: CheckpointError for numbers that it does not hold."""
    halved: dict[str, Tensor] = {}
    for key, value in weights.items():
        halved[key] = value.half() if value.is_floating_point() else value
        if not torch.isfinite(halved[key]).all() and torch.isfinite(value).all():
            raise CheckpointError(
                f"half precision: '{key}' has numbers above 65504; leave out --half"
            )
    return halved


def _facts(model: AudioAutoencoder) -> TrainingFacts:
    source = getattr(model.loaded, "source", "")
    if source and Path(source).is_file():
        return training_facts(Path(source))
    return TrainingFacts()


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    """What the disk refuses is said of the folder, whose temporary name says nothing."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"{reason}; nothing is written", str(folder)) from None
