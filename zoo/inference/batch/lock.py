"""One command at a time writes into a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from pathlib import Path
from typing import IO

from zoo.errors import CheckpointError

_NAME = ".zoo.lock"
_TAKEN = (errno.EAGAIN, errno.EACCES)
_WAIT_SECONDS = 10.0
_PART = re.compile(
    r"\..+\.(\d+|[0-9a-f]{32})\.part|\.[0-9a-f]{16}\.\d+\.part\.(wav|flac)|\.shard-[\d-]+(\.tar)?\.part"
)


class FolderLock:
    """Keeps other commands out. Each process of one holds a byte of the lock file, its rank.

    The first process asks first; the others once they hear from it. The system gives a dead
    process's lock back at once.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self.rank = rank
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Waits a moment for the processes of a killed command, and removes what it left behind.

        Raises:
            CheckpointError: another command writes there.
            OSError: the folder cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = (self.folder / _NAME).open("a")
        # On a file system without locks, who starts two commands is on his own.
        with contextlib.suppress(OSError):
            self._take(self._file.fileno())
        if self.rank == 0:
            self._tidy()

    def release(self) -> None:
        """The file stays: another process may be about to lock it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, file: int) -> None:
        give_up = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                if self.rank == 0:
                    # All bytes: no process of another command is left.
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    fcntl.lockf(file, fcntl.LOCK_UN, 0, 1)
                else:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self.rank)
                return
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                if time.monotonic() > give_up:
                    raise CheckpointError(
                        f"{self.folder}: another command is writing there; wait for it, or choose "
                        "another folder"
                    ) from None
            time.sleep(0.1)

    def _tidy(self) -> None:
        for root, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                if name.startswith(".") and _PART.fullmatch(name):
                    Path(root, name).unlink(missing_ok=True)
