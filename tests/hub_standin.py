"""A stand-in for the Hugging Face Hub on loopback: repositories, branches, commits and large files, all in memory.

It answers the requests that huggingface_hub makes to publish a folder, wants a token, and fails where it is told to.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

WRITER, READER = "hf_writer", "hf_reader"
"""Tokens: one that may write, and one that may not."""
CUT = 0
"""Instead of a status: the connection ends without an answer."""


@dataclass
class Repository:
    """Branches of files by name."""

    private: bool
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {".gitattributes": b"* text\n"}})
    proposed: list[dict[str, bytes]] = field(default_factory=list)

    def sha(self, branch: str) -> str:
        return hashlib.sha1(repr(sorted(self.branches[branch].items())).encode()).hexdigest()


@dataclass
class Hub:
    """What the server holds, and what it was asked.

    Attributes:
        fails: part of a path to the status of the next answers there, or CUT, and how often.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fails: dict[str, tuple[int, int]] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)

    def failure(self, path: str) -> int | None:
        for part, (status, times) in self.fails.items():
            if part in path and self.failed[part] < times:
                self.failed[part] += 1
                return status
        return None


@contextmanager
def standing_in() -> Iterator[Hub]:
    """A hub that answers while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.handle_request()

    do_POST = do_PUT = do_GET

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.read_chunks()
        self.hub.asked.append(f"{self.command} {self.path}")
        failure = self.hub.failure(self.path)
        if failure == CUT:
            self.close_connection = True
            return
        status, answer = (failure, {"error": "told to fail"}) if failure else self.answer(urlsplit(self.path), body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(content)

    def read_chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def answer(self, url: Any, body: bytes) -> tuple[int, Any]:
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[0] == "lfs":
            self.hub.large[parts[1]] = body
            return 200, {}
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in (WRITER, READER):
            return 401, {"error": "Invalid username or password."}
        if parts == ["api", "validate-yaml"]:
            return 200, {"errors": [], "warnings": []}
        writes = self.command == "POST" and parts[0] == "api" and "create_pr" not in url.query
        if writes and token == READER:
            return 403, {"error": "You don't have the rights"}
        sent = json.loads(body) if body and "ndjson" not in (self.headers.get("Content-Type") or "") else body
        if parts == ["api", "repos", "create"]:
            return self.create(sent)
        if parts[2:] == ["info", "lfs", "objects", "batch"]:
            return 200, {"transfer": "basic", "objects": [self.large_file(one) for one in sent["objects"]]}
        name, what, branch = "/".join(parts[2:4]), (parts[4:5] or ["info"])[0], "/".join(parts[5:]) or "main"
        repository = self.hub.repositories.get(name)
        if repository is None or (what != "branch" and branch not in repository.branches):
            return 404, {"error": "Repository not found"}
        answers = {
            "info": self.answer_info,
            "revision": self.answer_info,
            "branch": self.answer_branch,
            "preupload": self.answer_preupload,
            "commit": self.answer_commit,
        }
        return answers[what](name, repository, branch, sent) if what in answers else (404, {"error": "not here"})

    def create(self, sent: dict[str, Any]) -> tuple[int, Any]:
        name = f"{sent.get('organization') or 'ada'}/{sent['name']}"
        answer = {"url": f"{self.hub.url}/{name}"}
        if name in self.hub.repositories:
            return 409, {**answer, "error": "You already created this model repo"}
        self.hub.repositories[name] = Repository(sent.get("visibility") == "private")
        return 200, answer

    def large_file(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["oid"] in self.hub.large:
            return one
        return {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}

    def answer_info(self, name: str, repository: Repository, branch: str, _: Any) -> tuple[int, Any]:
        siblings = [{"rfilename": file} for file in repository.branches[branch]]
        return 200, {
            "id": name,
            "sha": repository.sha(branch),
            "private": repository.private,
            "siblings": siblings,
            "tags": [],
        }

    def answer_branch(self, name: str, repository: Repository, branch: str, _: Any) -> tuple[int, Any]:
        if branch in repository.branches:
            return 409, {"error": "Reference already exists"}
        repository.branches[branch] = dict(repository.branches["main"])
        return 200, {}

    def answer_preupload(self, name: str, repository: Repository, branch: str, sent: Any) -> tuple[int, Any]:
        files = []
        for file in sent["files"]:
            mode = "lfs" if file["path"].endswith(".safetensors") else "regular"
            oid = _oid(mode, repository.branches[branch].get(file["path"]))
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return 200, {"files": files}

    def answer_commit(self, name: str, repository: Repository, branch: str, sent: bytes) -> tuple[int, Any]:
        files = dict(repository.branches[branch])
        for line in map(json.loads, sent.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        proposal = "create_pr" in urlsplit(self.path).query
        if proposal:
            repository.proposed.append(files)
        else:
            repository.branches[branch] = files
        number = len(repository.proposed)
        oid = hashlib.sha1(sent).hexdigest() if proposal else repository.sha(branch)
        pull = f"{self.hub.url}/{name}/discussions/{number}" if proposal else None
        return 200, {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid, "pullRequestUrl": pull}


def _oid(mode: str, content: bytes | None) -> str | None:
    """What the Hub calls a file: SHA-256 of a large one, git's SHA-1 of another."""
    if content is None:
        return None
    if mode == "lfs":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
