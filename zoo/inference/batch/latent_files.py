"""Latents as one .safetensors file per clip, which say themselves what they were made from."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open

from zoo.checkpoints.download import digest
from zoo.errors import CheckpointError
from zoo.inference.batch.facts import form_of, same_source
from zoo.inference.batch.writer import Source
from zoo.inference.latents import Latents
from zoo.writing import write_whole


class LatentFilesWriter:
    """`out/NAME.safetensors` for each clip, as `Latents.save` writes it, with its source.

    Args:
        out: the folder.
        fingerprint: of the model.
        rank: of this process; files have the names of their sources on all of them.
        form: of `form_for`; clips that are kept in another one are not done.
    """

    def __init__(
        self, out: Path, fingerprint: str, rank: int = 0, *, form: str | None = None
    ) -> None:
        self.out = out
        self.fingerprint = fingerprint
        self.form = form

    def done(self, source: Source) -> bool:
        """Whether the file is there, whole, of this source and model."""
        facts = self._facts(self._path(source))
        if facts is None or facts.get("fingerprint") != self.fingerprint:
            return False
        if self.form not in (None, facts.get("form")):
            return False
        try:
            size, modified = int(facts["source_size"]), int(facts["source_modified"])
        except (KeyError, ValueError):
            return False
        return same_source(
            source, facts.get("source_path"), size, modified, facts.get("source_content")
        )

    def write(self, source: Source, latents: Latents) -> None:
        """Writes the file whole or not at all.

        Raises:
            CheckpointError: a file of that name is there and holds no latents.
            OSError: where the disk refuses.
        """
        path = self._path(source)
        if path.exists() and "samples" not in (self._facts(path) or {}):
            raise CheckpointError(
                f"{path}: exists and holds no latents, so it is not overwritten; choose another "
                "output folder, or move it"
            )
        content = latents.serialized(
            source_path=str(source.path),
            source_size=str(source.size),
            source_modified=str(source.modified),
            source_content=source.content or digest(source.path),
            form=form_of(latents),
        )
        write_whole(path, content)

    def close(self) -> None:
        """All files are on disk after this."""
        os.sync()

    def _path(self, source: Source) -> Path:
        return self.out / f"{source.name}.safetensors"

    @staticmethod
    def _facts(path: Path) -> dict[str, str] | None:
        """What the file says of itself; None where it is missing, cut off or something else."""
        try:
            with safe_open(path, framework="pt") as file:
                return file.metadata() or {}
        except (OSError, SafetensorError):
            return None
