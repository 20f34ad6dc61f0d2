"""The server of the studio: on this machine alone, until it is closed."""

from __future__ import annotations

import os
import secrets
import socket
from threading import Event, Thread
from types import TracebackType
from typing import Self

import uvicorn

from miex.errors import OutputError
from miex.web.app import Given, make_app
from miex.web.guard import Guard

MOST_AT_ONCE = 64  # connections
_SECONDS = 20  # to start, and to end


class Studio:
    """A studio that runs, in a thread of this process.

    Attributes:
        address: to be opened in a browser on this machine; who has it can use the studio.
    """

    def __init__(self, given: Given, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _bound(host, port)
        name = f"[{host}]" if ":" in host else host
        port = self._socket.getsockname()[1]
        token = secrets.token_urlsafe(32)
        page = "" if given.samples is None else "set"
        self.address = f"http://{name}:{port}/{page}?token={token}"
        guarded = Guard(make_app(given), token=token, hosts=[f"{name}:{port}", f"localhost:{port}"])
        config = uvicorn.Config(
            guarded, http="h11", ws="none", lifespan="off", loop="asyncio", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, limit_concurrency=MOST_AT_ONCE, timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._ended = Event()
        self._thread = Thread(target=self._run, name="miex-studio", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._ended.set()

    def __repr__(self) -> str:
        return "studio, closed" if self._ended.is_set() else f"studio at {self.address}"

    def wait(self) -> None:
        """Return when it is closed."""
        while not self._ended.wait(1):  # in steps, so that a signal is seen
            pass

    def close(self) -> None:
        """End it. Photos that were dropped are gone."""
        self._server.should_exit = True
        self._ended.wait(_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens: who connects before the server runs waits for it."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # elsewhere it would share a port that somebody listens on
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # free as soon as a studio was closed
    try:
        made.bind((host, port))
        made.listen(MOST_AT_ONCE)
    except OSError as error:
        made.close()
        raise OutputError(
            f"`port` {port} of {host}", expected="a port that is free", found=error.strerror or str(error),
            do="choose another, or 0 for any that is free",
        ) from error  # fmt: skip
    return made
