"""The formats that a folder of latents can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, assert_never

from zoo.inference.batch.latent_files import LatentFilesWriter
from zoo.inference.batch.stable_audio_tools import StableAudioToolsWriter
from zoo.inference.batch.webdataset import WebDatasetWriter
from zoo.inference.batch.writer import LatentWriter

Format = Literal["safetensors", "webdataset", "stable-audio-tools"]


def writer_for(
    kind: Format,
    out: Path,
    fingerprint: str,
    rank: int = 0,
    *,
    model: dict[str, Any] | None = None,
    form: str | None = None,
) -> LatentWriter:
    """The writer of a format.

    Args:
        out: the folder.
        fingerprint: of the model.
        rank: of this process.
        model: facts for the manifest, of `model_facts`.
        form: of `form_for`; clips that are kept in another one are not done.

    Raises:
        CheckpointError: the folder can't take these latents.
    """
    match kind:
        case "safetensors":
            return LatentFilesWriter(out, fingerprint, rank, form=form)
        case "webdataset":
            return WebDatasetWriter(out, fingerprint, rank, model=model, form=form)
        case "stable-audio-tools":
            return StableAudioToolsWriter(out, fingerprint, rank, form=form)
        case _:
            assert_never(kind)
