"""A server on this machine that answers as the Hugging Face hub and a file store do."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.checkpoints.stand_in_uploads import Uploads, answer

COMMIT = "a" * 40


@dataclass
class Hub:
    """What it serves, and what it was asked.

    Args:
        files: by "owner/name/path"; those that end in .json are small, the others stored apart.
        gated: repositories that want the token "right".
        break_after: a transfer breaks off after so many bytes.
        flip: send the last byte of each stored file with a bit flipped.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    break_after: int | None = None
    flip: bool = False
    uploads: Uploads = field(default_factory=Uploads)
    asked: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)
    url: str = ""
    store: str = ""

    def ranges(self) -> list[str | None]:
        """The ranges of the transfers of stored files."""
        return [
            given for method, path, given, _ in self.asked if method == "GET" and "/lfs/" in path
        ]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    # As there, large files come from another host, to which redirects are not followed blindly.
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    hub.url, hub.store = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        for server in servers
    ]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        path = self.path.partition("?")[0]
        status, content = answer(self.hub, path, self._received(), token)
        self.hub.asked.append(("POST", self.path, None, token))
        self._send(status, json.dumps(content).encode(), True)

    def do_PUT(self) -> None:
        content = self._received()
        self.hub.asked.append(("PUT", self.path, None, self.headers.get("Authorization")))
        if len(content) > (self.hub.break_after or len(content)):
            # 400: the client would go on trying for minutes where a server is busy.
            return self._send(400, b"", True)
        self.hub.uploads.stored[self.path.removeprefix("/upload/")] = content
        return self._send(200, b"", True)

    def _received(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, body: bool) -> None:
        given = self.headers.get("Range"), self.headers.get("Authorization")
        self.hub.asked.append((self.command, self.path, *given))
        if self.path.startswith("/lfs/"):
            return self._stored(self.hub.files[self.path.removeprefix("/lfs/")], body)
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if repository in self.hub.gated and given[1] != "Bearer right":
            return self._refuse(401, "GatedRepo")
        if not any(name.startswith(f"{repository}/") for name in self.hub.files):
            return self._refuse(401, "RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        content = self.hub.files.get(f"{repository}/{file}")
        if content is None:
            return self._refuse(404, "EntryNotFound")
        if file.endswith(".json"):
            etag = hashlib.sha1(content).hexdigest()
            return self._send(200, content, body, ETag=f'"{etag}"')
        headers = {
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"{self.hub.store}/lfs/{repository}/{file}",
        }
        return self._send(302, b"", body, **headers)

    def _stored(self, content: bytes, body: bool) -> None:
        if self.hub.flip:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        if start >= len(content):
            return self._send(416, b"", body, **{"Content-Range": f"bytes */{len(content)}"})
        whole = content[start:]
        if self.hub.break_after is None:
            return self._send(206 if start else 200, whole, body, **(headers if start else {}))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[: self.hub.break_after])
        self.close_connection = True
        return None

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"", True, **{"X-Error-Code": code})

    def _send(self, status: int, content: bytes, body: bool, **headers: str) -> None:
        self.send_response(status)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)
