"""Which audio files were written into a folder, and of what: they can't say so themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

_PREFIX, _SUFFIX = ".zoo-audio-", ".jsonl"


class Ledger:
    """One line of JSON for each file, in a file per process, only ever added to.

    A line is written before its file appears, and tells the size and time that the file will have:
    only both together count. A line that a killed process cut off is nothing.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self._path = folder / f"{_PREFIX}{rank:05d}{_SUFFIX}"
        self._file: IO[str] | None = None

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """The lines of all processes by the `name` of the clip, in the order of writing."""
        lines: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(self.folder.glob(f"{_PREFIX}*{_SUFFIX}")):
            with path.open(encoding="utf-8", errors="replace") as file:
                for text in file:
                    try:
                        line = json.loads(text)
                        lines.setdefault(line["name"], []).append(line)
                    except (ValueError, KeyError, TypeError):
                        continue
        return lines

    def add(self, line: dict[str, Any]) -> None:
        """Raises: OSError."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
            # Ends what may have been cut off.
            self._file.write("\n")
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
