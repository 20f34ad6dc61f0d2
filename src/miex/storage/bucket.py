"""Storage in a bucket of S3, Google Cloud or Azure: a file is one object, which is there as a whole or not at all."""

from __future__ import annotations

import io
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeVar, cast
from urllib.parse import urlsplit

from miex.errors import InputError, MiexError, OutputError, UsageError
from miex.storage.base import KEPT, Draft, Storage, as_output_errors

if TYPE_CHECKING:
    from obstore.store import S3Store

Answer = TypeVar("Answer")
# The kinds of addresses, and the variables of the environment that credentials are given in
SCHEMES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
# What obstore repeats: requests answered 5xx, connections that break or are refused, answers that do not come in time.
RETRIES: dict[str, Any] = {"max_retries": 10, "retry_timeout": timedelta(minutes=3)}
CLIENT = {"connect_timeout": "10s", "timeout": "2min"}  # the latter for one part of a file
PART = 8 * 2**20  # bytes of a part of an upload: 10,000 parts, which is all that S3 takes, are 80 GB
READ = 4 * 2**20  # bytes that a file that is open reads at least, where there are so many
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": (),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_WRITER = "miexwriter"  # metadata of an object that was created: whose it is


def bucket_at(address: str) -> Bucket:
    """The bucket, or the folder in one, at an address such as s3://bucket/mie-x.

    Raises:
        UsageError: it is no address of a bucket, or obstore is not installed.
    """
    parts = urlsplit(address)
    scheme, path = parts.scheme.lower(), [part for part in parts.path.split("/") if part]
    # what is wrong with an address may be that it holds a password
    odd = parts.query or parts.fragment or "@" in parts.netloc or not parts.netloc
    if scheme not in SCHEMES or odd or {".", ".."} & set(path):
        raise UsageError(
            f"location {scheme}://…", expected="an address such as s3://bucket/mie-x, gs://bucket/mie-x or "
            "az://container/mie-x, without a password: credentials are taken from the environment",
            found="" if scheme in SCHEMES else f"{scheme}://, which is none of them",
        )  # fmt: skip
    found = Bucket("/".join([f"{scheme}://{parts.netloc}", *path]))
    if find_spec("obstore") is None:
        raise UsageError(
            f"bucket {found.url}", expected="obstore, which reads and writes buckets", found="it is not installed",
            do="pip install 'miex[cloud]' (see docs/buckets.md)",
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class Bucket(Storage):
    """A folder in a bucket. What lies there is read by ranges; credentials and endpoint are those of the environment.

    There is no lock: a process that dies could not give it back. Of two who put different plans there at the same time
    one is refused when it writes or reads; two who run the same plan make the same bytes, of which one record is kept.

    Attributes:
        url: its address, without a slash at the end.
    """

    url: str

    @property
    def address(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def place(self, name: str) -> str:
        return f"{self.url}/{name}"

    def open(self, name: str) -> BinaryIO:
        with self._reading(name):
            head = _asked(lambda: self._store.head(name))
        return io.BufferedReader(_Ranges(self, name, head["size"], head["e_tag"]), READ)

    def read(self, name: str, most: int | None = None) -> bytes:
        def ask() -> tuple[int, bytes]:
            answer = self._store.get(name)
            size = answer.meta["size"]
            return size, b"" if most is not None and size > most else bytes(answer.bytes())

        with self._reading(name):
            size, content = _asked(ask)
        if most is not None:
            from miex.stable import within  # loads pyarrow, as in `Storage.read`

            within(size, most)
        return content

    def read_range(self, name: str, offset: int, size: int) -> bytes:
        if size < 1:
            return b""
        with self._reading(name):
            try:
                return bytes(_asked(lambda: self._store.get_range(name, start=offset, length=size)))
            except Exception as error:
                if _status(error) == "416":  # it ends before
                    return b""
                raise

    @contextmanager
    def writing(self, name: str) -> Iterator[Draft]:
        """The draft is kept in memory, from PART bytes on in a temporary file of this machine, and sent when it is
        whole: so it can be sent again, and of one that is dropped nothing is sent.

        A large file is sent in parts. Those of a process that was killed stay where no reader sees them, until a rule
        of the bucket deletes unfinished uploads.
        """
        where = f"draft of {self.place(name)} in {tempfile.gettempdir()}"
        with as_output_errors(where), tempfile.SpooledTemporaryFile(PART) as file:
            draft = Draft(cast("BinaryIO", file))
            yield draft
            if draft.wanted:
                with self._writing(name):
                    _asked(lambda: self._send(name, file))

    def _send(self, name: str, file: Any) -> None:
        large = file.seek(0, io.SEEK_END) > PART
        file.seek(0)
        if large:
            self._store.put(name, file, use_multipart=True, chunk_size=PART, max_concurrency=3)
        else:
            self._store.put(name, file.read(), use_multipart=False)

    def create(self, name: str, content: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError

        own = uuid.uuid4().hex
        mark: dict[Any, str] = {_WRITER: own}
        with self._writing(name):
            try:
                _asked(lambda: self._store.put(name, content, mode="create", attributes=mark, use_multipart=False))
            except AlreadyExistsError:
                # who asks again since an answer was lost is refused by what he had just written
                with suppress(FileNotFoundError):
                    return bool(_asked(lambda: self._store.get(name).attributes).get(_WRITER) == own)
                return self.create(name, content)  # it has been deleted since
        return True

    def names(self, under: str = "") -> Iterator[str]:
        with self._told(InputError, f"reading {self.place(under)}"):
            found = _asked(lambda: self._store.list_with_delimiter(under or None))
        paths = [*(one["path"] for one in found["objects"]), *found["common_prefixes"]]
        yield from sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def size(self, name: str) -> int | None:
        try:
            with self._reading(name):
                return int(_asked(lambda: self._store.head(name)["size"]))
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        with self._told(OutputError, f"deleting {self.place(name)}"):
            try:
                _asked(lambda: self._store.delete(name))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise

    def free_bytes(self) -> None:
        return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing is locked; see the class."""
        yield

    def remove_leftovers(self) -> int:
        """There are none that can be seen; see `writing`."""
        return 0

    @property
    def _store(self) -> S3Store:
        return _store(self.url)

    def _reading(self, name: str) -> Any:
        return self._told(InputError, f"reading {name} of {self.url}")

    def _writing(self, name: str) -> Any:
        return self._told(OutputError, f"writing {self.place(name)}")

    @contextmanager
    def _told(self, kind: type[MiexError], asked: str) -> Iterator[None]:
        """What goes wrong in a block, as an error of that kind; what is not there stays a FileNotFoundError."""
        from obstore.exceptions import BaseError

        try:
            yield
        except FileNotFoundError as error:
            if kind is InputError and _code(error) != "NoSuchBucket":
                raise FileNotFoundError(f"no {asked.removeprefix('reading ')}") from None
            self._raise(kind, asked, error)
        except (BaseError, ValueError, OSError) as error:
            self._raise(kind, asked, error)

    def _raise(self, kind: type[MiexError], asked: str, error: BaseException) -> NoReturn:
        # without its cause, whose text may hold keys and signed addresses
        found, do = _said(error, self.url)
        raise kind(asked, found=found, do=do + (KEPT if kind is OutputError else "")) from None


class _Ranges(io.RawIOBase):
    """A file of a bucket; each read is one request. What replaces it meanwhile is refused."""

    def __init__(self, bucket: Bucket, name: str, size: int, tag: str | None) -> None:
        self._bucket, self._name, self._size, self._tag, self._position = bucket, name, size, tag, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(22, os.strerror(22))  # as files say it
        self._position = start + offset
        return self._position

    def readinto(self, into: Any) -> int:
        wanted = min(len(into), self._size - self._position)
        if wanted <= 0:
            return 0
        options: Any = {"range": (self._position, self._position + wanted)}
        if self._tag:
            options["if_match"] = self._tag
        with self._bucket._reading(self._name):
            content = _asked(lambda: self._bucket._store.get(self._name, options=options).bytes())
        got = len(content)
        into[:got] = memoryview(content)
        self._position += got
        return got


@lru_cache(maxsize=16)
def _made(url: str, process: int) -> S3Store:
    """The store of an address, which holds connections: one for each process."""
    from obstore.store import from_url

    endpoints = {name: os.environ[name] for name in _ENDPOINTS[url.partition(":")[0]] if name in os.environ}
    for name, endpoint in endpoints.items():
        if not _is_endpoint(endpoint):  # at which obstore panics
            raise InputError(
                f"bucket {url}", expected=f"{name} such as http://localhost:9000 or https://storage.example.org",
                found=_without_secrets(re.sub("[^/]*@", "…@", endpoint)) or "an empty text",
                do=f"begin {name} with http:// or https:// (docs/buckets.md)",
            )  # fmt: skip
    plain = any(endpoint.lower().startswith("http://") for endpoint in endpoints.values())
    store: Any = from_url
    made: S3Store = store(url, client_options={**CLIENT, "allow_http": plain}, retry_config=RETRIES)
    return made


def _is_endpoint(text: str) -> bool:
    host = r"([!-~]*@)?([\w.-]+|\[[\da-f:.]+\])"
    found = re.fullmatch(rf"https?://{host}(:(?P<port>\d{{1,5}}))?(/[\w.~%/-]*)?", text, re.ASCII | re.IGNORECASE)
    return found is not None and int(found["port"] or 0) < 2**16


def _store(url: str) -> S3Store:
    """The store of an address, in this process.

    Raises:
        InputError: the process was forked from one that has used a bucket, of whose threads it has none.
    """
    global _first_process
    own = os.getpid()
    _first_process = _first_process or own
    if _first_process != own:
        raise InputError(
            f"bucket {url}", expected="a process that was spawned",
            found="one that was forked from a process that has used a bucket",
            do='start workers by spawn, such as DataLoader(…, multiprocessing_context="spawn")',
        )  # fmt: skip
    return _made(url, own)


_first_process = 0  # that used a bucket, of this one and those that it was forked from


def _asked(ask: Callable[[], Answer]) -> Answer:
    """What is answered. obstore asks again after most that goes wrong, but not after an answer that breaks off."""
    from obstore.exceptions import GenericError

    for _ in range(RETRIES["max_retries"]):
        try:
            return ask()
        except (GenericError, FileNotFoundError) as error:
            # an upload whose last answer broke off is complete, and cannot be taken back
            if "body error" not in _text(error) and _code(error) != "NoSuchUpload":
                raise
    return ask()


def _text(error: BaseException) -> str:
    return str(error).partition("\n\nDebug source")[0]


def _code(error: BaseException) -> str:
    """The code in the answer of a bucket, such as NoSuchBucket; empty if there is none."""
    found = re.search(r"<Code>(\w+)</Code>", _text(error))
    return found[1] if found else ""


def _status(error: BaseException) -> str:
    found = re.search(r"status code: (\d{3})", _text(error))
    return found[1] if found else ""


def _said(error: BaseException, url: str) -> tuple[str, str]:
    """What was found and what to do, in words that hold no key and no signed address."""
    text, code, status = _text(error), _code(error), _status(error)
    scheme, _, bucket, *_ = url.split("/")
    variables = SCHEMES[scheme.removesuffix(":")]
    answer = " ".join(filter(None, ("answer", status, code)))
    if code == "NoSuchBucket":
        return f"no bucket {bucket}", "make the bucket, or correct its name, or AWS_ENDPOINT_URL and AWS_REGION"
    # who is asked for them on a machine of a cloud, or what Azure lacks first
    if re.search("/latest/(api/token|meta-data)|computeMetadata|/metadata/identity|Account must be specified", text):
        return "no credentials in the environment", f"set {variables} (docs/buckets.md lists others)"
    if lacking := re.search("Missing (SecretAccessKey|AccessKeyId)", text):  # of two, the one
        name = "AWS_" + re.sub("(?<=[a-z])(?=[A-Z])", "_", lacking[1]).upper()
        return f"no {name} in the environment", f"set {variables} (docs/buckets.md lists others)"
    if status in ("401", "403"):
        return answer, f"give credentials that may read, write, list and delete in {bucket} (docs/buckets.md)"
    if status in ("409", "412"):
        return f"{answer}: it was changed meanwhile", "read it again when nobody writes there"
    if status.startswith("4"):
        return answer, "check the address, AWS_ENDPOINT_URL and AWS_REGION (docs/buckets.md)"
    again = "check the network and the endpoint (AWS_ENDPOINT_URL), and run the same command again"
    if status:
        return f"{answer}, again and again", again
    if "HTTP error" in text or "error sending request" in text or "timed out" in text:
        return "no answer, or a broken one, again and again", again
    return _without_secrets(text.splitlines()[0]), "check the address and the environment (docs/buckets.md)"


def _without_secrets(text: str) -> str:
    for name, value in os.environ.items():
        if value and re.match("(AWS|AZURE|GOOGLE)_.*(KEY|SECRET|TOKEN|SAS|PASSWORD)", name):
            text = text.replace(value, "…")
    return re.sub(r"\?\S+", "?…", text)[:200]  # signatures stand in the queries of addresses
