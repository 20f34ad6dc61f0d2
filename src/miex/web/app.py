"""The addresses of the studio: each reads what is asked, asks the room that knows, and sends it."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import zipfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from threading import Lock
from typing import Any, Final

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from miex.aus.described import AU_DESCRIBED, AU_REGIONS
from miex.aus.vector import AU_NAMES, AU_NUMBERS, on_sides
from miex.corpora.mappings import emotion_named
from miex.errors import InputError, MiexError, UsageError, first_wrong
from miex.faces.crop import AlignedFace
from miex.images import decode_image
from miex.labels import Label
from miex.nuisances.columns import LEVELS, OFF
from miex.sources.expert import ExpertSource
from miex.stable import sample_rng
from miex.web.face import Asked, Face, Read, Way
from miex.web.sets import TILES, SetPages

MOST_PHOTO, MOST_ASKED = 32 * 2**20, 2**20  # bytes of a photo, and of any other request
MOST_FACES = 8  # kept at once, beside the first one
SECONDS = 30  # for a request to arrive
_START = "start"  # the name of the first face
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Given:
    """What the studio works with.

    Attributes:
        first: the face that it begins with; the same whenever it is asked for.
        align: the face of a picture, uint8 RGB, of that name; raises InputError if there is none.
        ways: ways to move faces, the default first.
        presets: where AUs of emotions are drawn from.
        samples: the set that it shows; None: none.
        read: what a recognizer says of a pair; None: there is none.
    """

    first: Callable[[], Face]
    align: Callable[[Any, str], AlignedFace]
    ways: Sequence[Way]
    presets: ExpertSource
    samples: SetPages | None = None
    read: Read | None = None


def make_app(given: Given) -> Starlette:
    """The application, unguarded."""
    faces = _Faces(given)
    routes = [
        Route("/", _page("face.html")),
        Route("/set", _page("set.html")),
        *(Route(f"/{name}", _page(name)) for name in ("studio.css", "icon.svg", "studio.js", "face.js", "set.js")),
        Route("/api/about", _said(partial(_about, given))),
        Route("/api/first", faces.first),
        Route("/api/preset", faces.preset),
        Route("/api/photo", faces.photo, methods=["POST"]),
        Route("/api/move", faces.move, methods=["POST"]),
        Route("/api/save", faces.save, methods=["POST"]),
        Route("/api/read", faces.read, methods=["POST"]),
    ]
    if given.samples is not None:
        routes += _set_routes(given.samples)
    return Starlette(routes=routes)


def _page(name: str) -> Answer:
    content = resources.files(__package__).joinpath("pages", name).read_bytes()
    kind = _TYPES[name[name.index(".") :]]

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _about(given: Given) -> dict[str, Any]:
    emotions = dict.fromkeys(emotion_named(row.emotion) for row in given.presets.table.emotions if row.weight)
    return {
        "regions": [
            {
                "name": region,
                "aus": [{"au": au, "name": AU_NAMES[au], "sentence": AU_DESCRIBED[au]} for au in aus],
            }
            for region, aus in AU_REGIONS.items()
        ],
        "ways": [{"name": way.name, "sides": way.sides} for way in given.ways],
        "emotions": list(emotions),
        "presets": given.presets.table.name,
        "nuisances": [OFF, *LEVELS],
        "reads": given.read is not None,
        "set": None if given.samples is None else given.samples.about(),
    }


def _said(what: Callable[[], Any]) -> Answer:
    async def answer(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(what))

    return answer


class _Faces:
    """What is asked of faces. The photos that were dropped are kept in memory, and only the last ones."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._dropped: OrderedDict[str, Face] = OrderedDict()
        self._lock = Lock()
        self._looking = Lock()  # for a face: one photo at a time takes the memory of one

    def _face(self, name: str) -> Face:
        with self._lock:
            if name == _START:
                return self._given.first()
            if name not in self._dropped:
                raise UsageError(
                    "this photo", expected=f"one of the last {MOST_FACES}", found="one that is no longer kept",
                    do="drop it again",
                )  # fmt: skip
            self._dropped.move_to_end(name)
            return self._dropped[name]

    async def first(self, request: Request) -> Response:
        """The face that the page begins with, prepared: the first slider need not wait."""
        return await _answered(request, 0, lambda _: self._told(_START, self._face(_START)))

    def _told(self, key: str, face: Face) -> Response:
        face.ready(Asked(), self._given.ways)
        return JSONResponse({"id": key, "photo": face.photo, "size": face.aligned.size})

    async def photo(self, request: Request) -> Response:
        """Take a photo."""

        def take(content: bytes) -> Response:
            name = request.query_params.get("name", "")[:200] or "photo"
            with self._looking:
                face = Face(self._given.align(decode_image(content, name), name), name, is_path=False)
            key = secrets.token_urlsafe(9)
            with self._lock:
                self._dropped[key] = face
                while len(self._dropped) > MOST_FACES:
                    self._dropped.popitem(last=False)
            return self._told(key, face)

        return await _answered(request, MOST_PHOTO, take)

    async def preset(self, request: Request) -> Response:
        """AUs drawn for an emotion."""

        def draw(_: bytes) -> Response:
            emotion, seed = request.query_params.get("emotion", ""), request.query_params.get("seed", "0")
            rng = sample_rng(int(seed[:15]) if seed.isdecimal() else 0, "preset")
            drawn = self._given.presets.sample(Label.negative, emotion=emotion, rng=rng)
            both = on_sides(drawn.apex, drawn.sides)
            aus = {au: [round(float(z), 2) for z in both[i]] for i, au in enumerate(AU_NUMBERS) if both[i].any()}
            return JSONResponse({"aus": aus})

        return await _answered(request, 0, draw)

    async def move(self, request: Request) -> Response:
        """Onset and apex, to be drawn."""

        def move(content: bytes) -> Response:
            face, asked = self._asked(request, content)
            return Response(face.moved(asked, self._given.ways), media_type="application/octet-stream")

        return await _answered(request, MOST_ASKED, move)

    async def save(self, request: Request) -> Response:
        """The files of a pair, in one."""

        def save(content: bytes) -> Response:
            face, asked = self._asked(request, content)
            return Response(_zip(face.files(asked, self._given.ways)), media_type="application/zip")

        return await _answered(request, MOST_ASKED, save)

    async def read(self, request: Request) -> Response:
        """What the recognizer says of a pair, or why it reads nothing of it."""

        def read(content: bytes) -> Response:
            if self._given.read is None:
                raise UsageError("a reading", expected="a recognizer", found="none")
            face, asked = self._asked(request, content)
            made = face.pair(asked, self._given.ways)
            try:
                return JSONResponse({"read": dict(self._given.read(made.onset, made.apex))})
            except InputError as error:  # nothing moves, or too much
                return JSONResponse({"refused": _told(error)})

        return await _answered(request, MOST_ASKED, read)

    def _asked(self, request: Request, content: bytes) -> tuple[Face, Asked]:
        return self._face(request.query_params.get("face", "")), Asked.model_validate_json(content)


# A number in an address has no more digits than a set or a clip needs; Python reads no number of thousands of them
register_url_convertor("whole", type("Whole", (IntegerConvertor,), {"regex": "[0-9]{1,15}"})())


def _set_routes(samples: SetPages) -> list[Route]:
    async def rows(request: Request) -> Response:
        def choose(content: bytes) -> Response:
            query = _json(content)
            if not isinstance(query, str):
                raise UsageError("a query", expected="text")
            return JSONResponse(samples.chosen(query))

        return await _answered(request, MOST_ASKED, choose)

    async def tiles(request: Request) -> Response:
        def tell(content: bytes) -> Response:
            places = _json(content)
            if not isinstance(places, list) or len(places) > TILES or not all(type(one) is int for one in places):
                raise UsageError("tiles", expected=f"at most {TILES} places")
            return JSONResponse(samples.tiles(places))

        return await _answered(request, MOST_ASKED, tell)

    def picture(find: Callable[..., tuple[bytes, str]]) -> Answer:
        async def answer(request: Request) -> Response:
            def show(_: bytes) -> Response:
                content, kind = find(**request.path_params)
                return Response(content, media_type=kind)

            return await _answered(request, 0, show)

        return answer

    async def sample(request: Request) -> Response:
        return await _answered(request, 0, lambda _: JSONResponse(samples.sample(request.path_params["place"])))

    return [
        Route("/api/set/rows", rows, methods=["POST"]),
        Route("/api/set/tiles", tiles, methods=["POST"]),
        Route("/api/set/strip/{place:whole}", picture(lambda place: (samples.strip(place), "image/jpeg"))),
        Route("/api/set/frame/{place:whole}/{k:whole}", picture(samples.frame)),
        Route("/api/set/sample/{place:whole}", sample),
    ]


async def _answered(request: Request, most: int, work: Callable[[bytes], Response]) -> Response:
    """The answer, worked out beside the loop; what a user can act on becomes a message."""
    try:
        async with asyncio.timeout(SECONDS):
            content = await _content(request, most)
        if content is None:
            return _wrong("this request", expected=f"at most {most:,} bytes", found="more", status=413)
        return await run_in_threadpool(work, content)
    except TimeoutError:
        return _wrong("this request", expected=f"all of it within {SECONDS} s", status=408)
    except ValidationError as error:
        entry, expected, found = first_wrong(error)
        return _wrong(entry or "this request", expected=expected, found=found)
    except (IndexError, RecursionError) as error:
        return _wrong("this request", expected="a sample of the set", found=str(error))
    except MiexError as error:
        return JSONResponse({"error": _told(error)}, 400)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise UsageError("this request", expected="JSON", found=str(error)) from error


async def _content(request: Request, most: int) -> bytes | None:
    """What is sent, or None if it is too much; no more of it is kept."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _told(error: MiexError) -> dict[str, str]:
    return {"asked": error.asked, "expected": error.expected, "found": error.found, "do": error.do}


def _wrong(asked: str, *, expected: str = "", found: str = "", status: int = 400) -> Response:
    return JSONResponse({"error": _told(UsageError(asked, expected=expected, found=found))}, status)


def _zip(files: Mapping[str, bytes]) -> bytes:
    """The files in an archive that is the same whenever it is made."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # they are compressed already
        for name, file in files.items():
            archive.writestr(zipfile.ZipInfo(name), file)
    return content.getvalue()
