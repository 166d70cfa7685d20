"""Models of the Hugging Face hub, in its cache on this machine."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from zoo.checkpoints.download import digest, download
from zoo.checkpoints.files import AUDIOCRAFT_FILE, INSIDE, PAIRS, SUFFIXES
from zoo.errors import CheckpointError

# owner/name, and perhaps a folder or a file in it, and a revision.
_SOURCE = re.compile(
    r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<inside>[\w./-]+))?(?:@(?P<revision>[\w./-]+))?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_repository(source: str) -> bool:
    """Whether `source` reads as owner/name, with or without a path and a revision behind it."""
    match = _SOURCE.fullmatch(source)
    if match is None or source.startswith((".", "/")):
        return False
    return match["inside"] is not None or Path(match["repository"]).suffix not in SUFFIXES


def pull(source: str, revision: str | None = None) -> Path:
    """The weight file of a repository on this machine, its config beside it.

    Args:
        source: owner/name, or with a folder or file in the repository behind it, or @revision.
        revision: commit, tag or branch.

    Raises: CheckpointError, with what to do.
    """
    from huggingface_hub import constants

    match = _SOURCE.fullmatch(source)
    if match is None:
        raise CheckpointError(f"{source}: not a repository of the hub (owner/name)")
    repository, inside = match["repository"], match["inside"]
    revision = revision or match["revision"]
    if inside is not None and Path(inside).suffix:
        found = pulled(repository, inside, revision)
        if found is None:
            raise CheckpointError(f"{repository}: has no file {inside}{_at(revision)}")
        for config in ("model_config.json", "config.json"):
            if pulled(repository, str(Path(inside).with_name(config)), revision):
                break
        return found
    folders = (inside,) if inside else ("", INSIDE)
    for folder in folders:
        for config, files in PAIRS:
            if pulled(repository, _in(folder, config), revision) is None:
                continue
            for name in files:
                if found := pulled(repository, _in(folder, name), revision):
                    return found
        if found := pulled(repository, _in(folder, AUDIOCRAFT_FILE), revision):
            return found
    if constants.HF_HUB_OFFLINE:
        raise CheckpointError(
            f"{source}: not whole in the hub's cache, {constants.HF_HUB_CACHE} (HF_HUB_OFFLINE is "
            f"set); on a machine with a network, run `zoo pull {source}`"
        )
    known = ", ".join(dict.fromkeys(name for _, files in PAIRS for name in files))
    raise CheckpointError(
        f"{source}: no model that zoo knows{_at(revision)} ({known}, each with its config, or "
        f"{AUDIOCRAFT_FILE}); name a file: {repository}/FILE"
    )


def pulled(repository: str, file: str, revision: str | None = None) -> Path | None:
    """A file of a repository on this machine; None where the repository has none such.

    Downloads go on where they broke off. Raises: CheckpointError, with what to do.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with _explained(repository, revision):
        try:
            if not constants.HF_HUB_OFFLINE:
                _fill_cache(repository, file, revision)
            return Path(hf_hub_download(repository, file, revision=revision))
        except LocalEntryNotFoundError as error:
            if constants.HF_HUB_OFFLINE and _is_cached(repository):
                return None
            raise error
        except EntryNotFoundError:
            return None


def verify(path: Path) -> bool | None:
    """Whether a file in the hub's cache is what the hub said; None where it said no checksum.

    Raises: CheckpointError for another one; the file is removed from the cache.
    """
    blob = path.resolve()
    if not _SHA256.fullmatch(blob.name):
        return None
    if digest(blob) == blob.name:
        return True
    path.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)
    raise CheckpointError(
        f"{path}: damaged: its sha256 is not {blob.name}; it is removed from the cache, pull again"
    )


def _fill_cache(repository: str, file: str, revision: str | None) -> None:
    """Puts a large file where `hf_hub_download` finds it, which itself begins from the start."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(repository, file, revision=revision)
    try:
        facts = get_hf_file_metadata(url)
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError):
        raise
    except Exception:
        # The hub can't be reached: hf_hub_download looks into its cache, and says so otherwise.
        return
    if facts.etag is None or not _SHA256.fullmatch(facts.etag):
        return
    headers = build_hf_headers()
    if urlsplit(facts.location).netloc != urlsplit(url).netloc:
        # The store behind the hub has its own signature in the address.
        headers.pop("authorization", None)
    blobs = Path(constants.HF_HUB_CACHE) / _folder(repository) / "blobs"
    download(facts.location, blobs / facts.etag, facts.etag, headers)


@contextlib.contextmanager
def _explained(repository: str, revision: str | None) -> Iterator[None]:
    """Errors of the hub as one message with what to do."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{constants.ENDPOINT}/{repository}"
    try:
        yield
    except GatedRepoError:
        raise CheckpointError(
            f"{repository}: its licence asks for a login: agree to it on {page}, then run "
            "`hf auth login` or set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"{repository}: no such file or folder, and no such repository on the hub (or a "
            "private one: run `hf auth login` or set HF_TOKEN)"
        ) from None
    except RevisionNotFoundError:
        raise CheckpointError(f"{repository}: has no revision '{revision}'; see {page}") from None
    except LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _cause(error)
        raise CheckpointError(
            f"{repository}: no such file or folder, and not in the hub's cache on this machine, "
            f"{constants.HF_HUB_CACHE} ({why}); on a machine with a network, run "
            f"`zoo pull {repository}` and copy its cache to the folder that HF_HOME names"
        ) from None
    except HFValidationError as error:
        raise CheckpointError(f"{repository}: {_line(error)}") from None
    except (HfHubHTTPError, OSError) as error:
        raise CheckpointError(
            f"{repository}: can't be downloaded: {_line(error)}; run it again to go on"
        ) from None


def _is_cached(repository: str) -> bool:
    from huggingface_hub import constants

    return (Path(constants.HF_HUB_CACHE) / _folder(repository) / "snapshots").is_dir()


def _folder(repository: str) -> str:
    return f"models--{repository.replace('/', '--')}"


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _at(revision: str | None) -> str:
    return f" at revision {revision}" if revision else ""


def _cause(error: BaseException) -> str:
    return _line(error.__cause__ or error)


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
