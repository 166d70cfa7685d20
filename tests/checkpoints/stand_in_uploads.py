"""What the stand-in for the hub answers to uploads, as the hub's HTTP API does."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.checkpoints.stand_in import Hub


@dataclass
class Uploads:
    """What has been made and uploaded.

    Args:
        repositories: whether each is private.
        branches: by repository.
        stored: large files that have arrived, by their sha256; only a commit makes them part of a
            repository.
        commits: what each says.
        read_only: tokens that may not write.
    """

    repositories: dict[str, bool] = field(default_factory=dict)
    branches: set[tuple[str, str]] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    read_only: set[str] = field(default_factory=set)


def answer(hub: Hub, path: str, body: bytes, token: str | None) -> tuple[int, Any]:
    """Status and content of the answer to a POST."""
    uploads = hub.uploads
    if path == "/api/validate-yaml":
        return 200, {"errors": [], "warnings": []}
    if token is None:
        return 401, {"error": "Invalid credentials"}
    if token in uploads.read_only:
        return 403, {"error": "You don't have the rights to write"}
    if path == "/api/repos/create":
        return _create(hub, json.loads(body))
    if path.endswith(".git/info/lfs/objects/batch"):
        return 200, {"transfer": "basic", "objects": [_place(hub, o) for o in _objects(body)]}
    repository, action, revision = _parts(path.removeprefix("/api/models/"))
    if repository not in uploads.repositories:
        return 404, {"error": "Repository not found"}
    match action:
        case "branch":
            uploads.branches.add((repository, revision))
            return 200, {}
        case "preupload":
            modes = [
                {**_named(file), "uploadMode": "regular" if _small(file["path"]) else "lfs"}
                for file in json.loads(body)["files"]
            ]
            return 200, {"files": modes}
        case "commit":
            return _commit(hub, repository, revision, body)
        case _:
            return 404, {}


def _create(hub: Hub, asked: dict[str, Any]) -> tuple[int, Any]:
    owner = asked.get("organization") or "me"
    repository = f"{owner}/{asked['name']}"
    url = {"url": f"{hub.url}/{repository}"}
    if repository in hub.uploads.repositories:
        return 409, {"error": "You already created this model repo", **url}
    hub.uploads.repositories[repository] = bool(
        asked.get("private") or asked.get("visibility") == "private"
    )
    hub.uploads.branches.add((repository, "main"))
    return 200, url


def _objects(body: bytes) -> list[dict[str, Any]]:
    return json.loads(body)["objects"]


def _place(hub: Hub, given: dict[str, Any]) -> dict[str, Any]:
    if given["oid"] in hub.uploads.stored:
        return given
    upload = {"href": f"{hub.store}/upload/{given['oid']}", "header": {}}
    return {**given, "authenticated": True, "actions": {"upload": upload}}


def _commit(hub: Hub, repository: str, revision: str, body: bytes) -> tuple[int, Any]:
    if (repository, revision) not in hub.uploads.branches:
        return 404, {"error": f"Invalid rev id: {revision}"}
    files: dict[str, bytes] = {}
    for line in body.splitlines():
        entry = json.loads(line)
        value = entry["value"]
        match entry["key"]:
            case "header":
                hub.uploads.commits.append(value["summary"])
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                content = hub.uploads.stored[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                files[value["path"]] = content
    where = repository if revision == "main" else f"{repository}@{revision}"
    hub.files |= {f"{where}/{path}": content for path, content in files.items()}
    url = f"{hub.url}/{repository}/commit/{'b' * 40}"
    return 200, {"commitUrl": url, "commitOid": "b" * 40, "pullRequestUrl": None}


def _parts(path: str) -> tuple[str, str, str]:
    owner, name, action, *rest = path.split("/")
    return f"{owner}/{name}", action, "/".join(rest)


def _named(file: dict[str, Any]) -> dict[str, Any]:
    return {"path": file["path"], "shouldIgnore": False, "oid": None}


def _small(path: str) -> bool:
    return path.endswith((".json", ".md"))
