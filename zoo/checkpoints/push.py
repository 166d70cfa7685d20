"""Models to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from zoo.checkpoints.files import SUFFIXES
from zoo.checkpoints.folder import CARD
from zoo.errors import CheckpointError

_MODELS = (*SUFFIXES, ".onnx", ".pt2")


def push_folder(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> str:
    """Uploads a folder with a model and its card as one commit; gives the commit's address.

    The login is the hub's: `hf auth login` or HF_TOKEN. Hidden files are left out.

    Args:
        repository: owner/name, made if need be.
        private: make it one that others don't see; an existing one stays as it is.
        revision: branch, made if need be.

    Raises: CheckpointError, with what to do; nothing is in the repository then but what was.
    """
    from huggingface_hub import HfApi, constants

    files = _checked(folder)
    if constants.HF_HUB_OFFLINE:
        raise CheckpointError(f"{repository}: HF_HUB_OFFLINE is set, so nothing can be uploaded")
    try:
        api = HfApi(endpoint=constants.ENDPOINT)
        api.create_repo(repository, private=private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=revision,
            commit_message=message or f"zoo push: {', '.join(files)}",
            allow_patterns=files,
        )
    except Exception as error:
        # The hub's client has its own kinds of error, those of httpx, and plain ones around them.
        raise CheckpointError(_explained(repository, error)) from None
    return str(done.commit_url)


def _checked(folder: Path) -> list[str]:
    """Names of what is uploaded. Raises: CheckpointError for a folder without a model."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; `zoo export` writes one")
    files = sorted(
        file.name for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")
    )
    if not any(Path(name).suffix in _MODELS for name in files):
        raise CheckpointError(f"{folder}: holds no model; `zoo export` writes such a folder")
    if CARD not in files:
        raise CheckpointError(f"{folder}: has no {CARD}, which `zoo export` writes beside a model")
    return files


def _explained(repository: str, error: Exception) -> str:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    login = "log in with a token that may write: `hf auth login`, or set HF_TOKEN"
    if isinstance(error, LocalTokenNotFoundError) or status == 401:
        return f"{repository}: the hub asks who you are; {login}"
    if status == 403:
        return f"{repository}: the hub does not let you write there; {login}"
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
    reason = lines[-1] if lines and status else (lines or [type(error).__name__])[0]
    if isinstance(error, HFValidationError):
        return f"{repository}: {reason}"
    return f"{repository}: can't be uploaded: {reason}; run it again to go on"
