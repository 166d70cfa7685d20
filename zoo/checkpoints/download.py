"""One file from an address, whole and checked or not at all."""

from __future__ import annotations

import hashlib
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from zoo.errors import CheckpointError

_CHUNK = 2**20
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 5


def download(
    url: str, target: Path, sha256: str | None = None, headers: Mapping[str, str] | None = None
) -> Path:
    """The file at `url`, put at `target` if it is not there yet.

    What was broken off goes on where it stopped, also in a later call. Of several processes, one
    downloads and the others wait.

    Args:
        sha256: of the file, in hexadecimal digits, or the first of them.

    Raises:
        OSError: where it can't be had; what has come so far stays beside `target`.
        CheckpointError: for another checksum; nothing is kept then.
    """
    from huggingface_hub.utils import WeakFileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with WeakFileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file():
            return target
        for attempt in range(_ATTEMPTS):
            before = _size(part)
            try:
                _fetch(url, part, headers or {})
                break
            except (OSError, http.client.HTTPException) as error:
                # Worth going on as long as more of it comes, or it begins anew.
                if _size(part) == before or attempt + 1 == _ATTEMPTS:
                    raise OSError(str(error) or type(error).__name__) from None
        if sha256 is not None and not (found := digest(part)).startswith(sha256):
            part.unlink()
            raise CheckpointError(
                f"{url}: damaged on its way: its sha256 is {found}, but should be {sha256}; "
                "nothing is kept, try again"
            )
        part.replace(target)
    return target


def cached(url: str, path: Path, what: str, sha256: str | None = None) -> Path:
    """`path`, downloaded if it is not there yet, unless the machine is to stay offline.

    Args:
        what: the name of it in an error.
        sha256: as of `download`.

    Raises: CheckpointError, with what to do.
    """
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if path.is_file():
        return path
    try:
        if HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        return download(url, path, sha256)
    except OSError as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{what} can't be downloaded ({reason}); download {url} and put it at {path}"
        ) from None


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, part: Path, headers: Mapping[str, str]) -> None:
    """Adds to `part` what is missing of the file at `url`. Raises: OSError."""
    done = _size(part)
    more = {"Range": f"bytes={done}-"} if done else {}
    request = urllib.request.Request(url, headers={**headers, **more})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            if response.status != 206:
                done = 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length else None
            with part.open("ab" if done else "wb") as file:
                _copy(response, file, done, total, part.name)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise OSError(f"{url}: {error.code} {error.reason}") from None
        # Nothing is missing, or what is there is of another file.
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total != str(done):
            part.unlink()
            raise OSError(f"{url}: has become another file") from None
        return
    if total is not None and _size(part) != total:
        raise OSError(f"{url}: broke off after {_size(part):,} of {total:,} bytes")


def _copy(source: IO[bytes], file: IO[bytes], done: int, total: int | None, name: str) -> None:
    from rich.console import Console
    from rich.progress import Progress, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(name.strip(".").removesuffix(".part")[:40], total=total, completed=done)
        while chunk := source.read(_CHUNK):
            file.write(chunk)
            bar.advance(task, len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
