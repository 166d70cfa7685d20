"""Audio as one file per clip, in the tree of the sources."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from zoo.checkpoints.download import digest
from zoo.errors import AudioError
from zoo.inference.batch.facts import same_source
from zoo.inference.batch.ledger import Ledger
from zoo.inference.batch.writer import Source


@dataclass(frozen=True)
class Rendering:
    """Audio that is yet to be written: what writes it to a path, and how large it may be."""

    write: Callable[[Path], None]
    most_bytes: int


class AudioFilesWriter:
    """`out/NAME.wav` for each clip, under a hidden name until it is complete.

    A file that is in its place and was not written here is never replaced.

    Args:
        out: the folder.
        fingerprint: of the model.
        rank: of this process, which no other running one may have.
        suffix: `.wav` or `.flac`.
        options: of the decoder; files made with others are not done.
    """

    def __init__(
        self,
        out: Path,
        fingerprint: str,
        rank: int = 0,
        *,
        suffix: str = ".wav",
        options: dict[str, Any] | None = None,
    ) -> None:
        self.out = out
        self.suffix = suffix
        self.made_by = {"fingerprint": fingerprint, "options": options or {}, "suffix": suffix}
        self._ledger = Ledger(out, rank)
        self._lock = threading.Lock()

    @cached_property
    def _known(self) -> dict[str, list[dict[str, Any]]]:
        return self._ledger.read()

    def done(self, source: Source) -> bool:
        """Whether the file is there as it was written, from this source, model and options.

        Raises:
            AudioError: what is in its place was not written here.
        """
        line = self._line(source.name)
        if line is None:
            self._check_free(source)
            return False
        if any(line.get(key) != value for key, value in self.made_by.items()):
            return False
        origin = (line.get(key) for key in ("path", "size", "modified", "content"))
        return same_source(source, *origin)

    def write(self, source: Source, rendering: Rendering, /) -> None:
        """Has the audio written and puts it into its place.

        Raises:
            AudioError: what is in its place was not written here; or as of `rendering`.
            OSError: where the disk refuses.
        """
        target = self._target(source.name)
        if self._line(source.name) is None:
            self._check_free(source)
        # A name may be as long as the system allows already.
        short = sha256(os.fsencode(target.name)).hexdigest()[:16]
        part = target.with_name(f".{short}.{os.getpid()}.part{self.suffix}")
        try:
            self._render(rendering, part, target)
            facts = part.stat()
            self._ledger.add(
                {
                    "name": source.name,
                    "bytes": facts.st_size,
                    "written": facts.st_mtime_ns,
                    **self.made_by,
                    "path": str(source.path),
                    "size": source.size,
                    "modified": source.modified,
                    "content": source.content or digest(source.path),
                }
            )
            part.replace(target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    @staticmethod
    def _render(rendering: Rendering, part: Path, target: Path) -> None:
        """Raises: AudioError; OSError where the disk is full, which libsndfile doesn't tell."""
        try:
            rendering.write(part)
        except AudioError as error:
            if shutil.disk_usage(part.parent).free < rendering.most_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from None
            raise AudioError(str(error).replace(str(part), str(target))) from None

    def close(self) -> None:
        """All files are on disk after this."""
        self.__dict__.pop("_known", None)
        self._ledger.close()
        os.sync()

    def _target(self, name: str) -> Path:
        return self.out / f"{name}{self.suffix}"

    def _check_free(self, source: Source) -> None:
        target = self._target(source.name)
        if os.path.lexists(target):
            raise AudioError(
                f"{source.path}: {target} exists and was not written by this command, so it is "
                "not replaced; choose another output folder, or move it"
            )

    def _line(self, name: str) -> dict[str, Any] | None:
        """What the ledger says of the file that is there now, if it does."""
        try:
            facts = self._target(name).stat()
        except OSError:
            return None
        now = (facts.st_size, facts.st_mtime_ns)
        # Several threads ask, and the ledger is read once.
        with self._lock:
            lines = reversed(self._known.get(name, []))
        fits = (line for line in lines if (line.get("bytes"), line.get("written")) == now)
        return next(fits, None)
