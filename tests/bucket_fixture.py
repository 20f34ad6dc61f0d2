"""A bucket: moto's S3 on this machine, behind a door that counts requests and fails as networks do."""

from __future__ import annotations

import http.client
import itertools
import logging
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "AKIAKEYOFTESTS", "secret-of-tests"
# an answer 503; no answer; an answer that is lost when all is done; half of one
FAULTS = ("503", "cut", "lost", "half")


@dataclass
class Request:
    """One request that got through: what was asked, the status, and the bytes of the answer's body."""

    method: str
    path: str
    status: int
    bytes: int


@dataclass
class Door:
    """What stands between miex and the bucket.

    Attributes:
        requests: those that got through.
        every: which fraction of requests fails: every tenth, say; 0: none.
        faults: how, one after the other.
        most: how many may fail.
        failed: how many did.
    """

    port: int
    requests: list[Request] = field(default_factory=list)
    every: int = 0
    faults: tuple[str, ...] = FAULTS
    most: int = 10**9
    failed: int = 0
    _asked: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    lock: Any = field(default_factory=threading.Lock)

    def fault(self) -> str:
        with self.lock:
            if not self.every or self.failed == self.most or next(self._asked) % self.every:
                return ""
            self.failed += 1
            return self.faults[self.failed % len(self.faults)]

    def fail(self, every: int, *faults: str, most: int = 10**9) -> None:
        self.every, self.faults, self.most = every, faults or FAULTS, most
        self.failed, self._asked = 0, itertools.count(1)
        self.requests.clear()

    def body(self, method: str, path: str) -> bytes:
        """What the bucket itself answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: no wait for what comes after its head
    door: Door
    creating = threading.Lock()  # under threads, moto lets two of 8 create one object: once in 200 tries
    bucket: http.client.HTTPConnection | None = None

    def log_message(self, *_: object) -> None:
        pass

    def pass_on(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.door.fault()
        if fault == "503":
            self.answer(503, {}, b"")
            return
        if fault == "403":
            key = f"<AWSAccessKeyId>{KEY}</AWSAccessKeyId>"  # S3 repeats it
            self.answer(403, {}, f"<Error><Code>InvalidAccessKeyId</Code>{key}</Error>".encode())
            return
        if fault == "cut":
            self.close_connection = True
            return
        self.bucket = self.bucket or http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=60)
        with self.creating if "If-None-Match" in self.headers else threading.Lock():
            self.bucket.request(self.command, self.path, content, dict(self.headers.items()))
            found = self.bucket.getresponse()
            body = found.read()
        self.door.requests.append(Request(self.command, self.path, found.status, len(body)))
        if fault == "lost" or (fault == "half" and not body):
            self.close_connection = True
            return
        self.answer(found.status, dict(found.getheaders()), body, cut=fault == "half")

    def answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        size = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", size)
        self.end_headers()
        self.close_connection = cut
        with suppress(OSError):
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.wfile.flush()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    """The door of a bucket `sets`, which the environment names."""
    pytest.importorskip("obstore", reason="needs the extra cloud")
    pytest.importorskip("flask_cors", reason="needs the extra oracles")
    server = pytest.importorskip("moto.server", reason="needs the extra oracles")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    inner = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    inner.start()
    made = Door(int(inner.get_host_and_port()[1]))
    made.body("PUT", "/sets")
    outer = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"door": made}))
    outer.daemon_threads = True
    threading.Thread(target=outer.serve_forever, daemon=True).start()
    backoff = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=10), "base": 2}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{outer.server_port}", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.setattr("miex.storage.bucket.RETRIES", {"max_retries": 10, "backoff": backoff})
        yield made
    outer.shutdown()
    outer.server_close()
    inner.stop()


@pytest.fixture
def address(door: Door, tmp_path: Path) -> Iterator[str]:
    """A folder in the bucket, for one test; nothing fails."""
    door.fail(0)
    yield f"s3://sets/{tmp_path.parent.name}/{tmp_path.name}"
    door.fail(0)
