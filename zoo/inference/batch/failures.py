"""The list of what a batch could not make: `failures.jsonl`, a line of JSON for each file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from zoo.data.messages import say
from zoo.errors import CheckpointError
from zoo.inference.batch.sources import Failure
from zoo.writing import write_whole

FAILURES = "failures.jsonl"


def write_failures(out: Path, failures: Sequence[Failure]) -> None:
    """Writes the list into `out`; without failures, an older one goes."""
    path = out / FAILURES
    if not failures:
        path.unlink(missing_ok=True)
        return
    lines = (json.dumps(asdict(failure), ensure_ascii=False) for failure in failures)
    try:
        write_whole(path, ("\n".join(lines) + "\n").encode(errors="replace"))
    except OSError as error:
        say(f"{path}: cannot be written: {error.strerror}")


def check_failures(out: Path) -> None:
    """Raises: CheckpointError where a list is there that was not written by a batch."""
    path = out / FAILURES
    if not os.path.lexists(path):
        return
    try:
        lines = list(map(json.loads, path.read_bytes().splitlines()))
        ours = all(line.keys() == {"path", "reason"} for line in lines)
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours:
        raise CheckpointError(
            f"{path}: exists and was not written by this command, so it is not overwritten; choose "
            "another output folder, or move it"
        )
