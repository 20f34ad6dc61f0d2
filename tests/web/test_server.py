"""The studio answers whoever has its address, and nobody else; and what it gives is what `miex.render` makes."""

from __future__ import annotations

import http.client
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import miex
from miex.api.studio import ways
from miex.errors import InputError, OutputError, UsageError
from miex.faces.photos import default_pool, list_photos
from miex.sources.expert import ExpertSource, load_table
from tests.support import command
from tests.web.conftest import SIZE, Client

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from miex.web.app import MOST_ASKED, MOST_FACES, Given
from miex.web.face import Face, _named
from miex.web.server import Studio

PHOTO = default_pool() / list_photos(default_pool())[0]


def test_without_the_token_nothing_is_said(studio: Any) -> None:
    stranger = Client(studio.address)
    for path in ("/", "/set", "/face.js", "/api/about", "/api/set/strip/0", "/nowhere"):
        assert stranger.ask(path)[0] == 403
    assert stranger.ask("/api/move?face=start", {})[0] == 403
    token = studio.address.partition("token=")[2]
    for wrong in ("", "x", token[:-1], token + "x", "%C3%A9"):
        assert stranger.ask(f"/?token={wrong}")[0] == 403
    assert len(token) >= 43  # 256 random bits
    stranger.enter()
    (cookie,) = stranger.jar
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    assert stranger.ask("/api/about")[0] == 200


def test_odd_cookies_of_others_do_not_lock_out(studio: Any) -> None:
    own = Client(studio.address).enter()
    (cookie,) = own.jar
    for odd in ('{"a": 1}', 'a b="', "x", "é=1", "a@b=[]"):
        kept = f"{odd}; {cookie.name}={cookie.value}"
        assert Client(studio.address).ask("/api/about", Cookie=kept)[0] == 200
    assert Client(studio.address).ask("/api/about", Cookie=f"{cookie.name}=x; x{cookie.name}={cookie.value}")[0] == 403


def test_the_address_leads_to_no_other_server(studio: Any) -> None:
    at = urlsplit(studio.address)
    asked = http.client.HTTPConnection(at.netloc, timeout=20)
    asked.request("GET", f"//evil.example?{at.query}")
    answer = asked.getresponse()
    asked.close()
    assert (answer.status, answer.headers["location"]) == (303, "/evil.example")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a port is free as soon as it was closed")
def test_a_port_is_free_as_soon_as_its_studio_is_closed() -> None:
    port = 0
    for _ in range(2):
        with Studio(plain(), port=port) as running:
            port = urlsplit(running.address).port or 0
            held = socket.create_connection(("127.0.0.1", port))
            held.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert held.recv(4096)
        while held.recv(4096):  # until the server ends it, whose end then stays for a minute
            pass
        held.close()


def test_pages_of_others_cannot_ask(client: Client) -> None:
    port = client.base.rpartition(":")[2]
    assert client.ask("/api/about", Host="rebound.example")[0] == 403
    assert client.ask("/api/about", Host=f"rebound.example:{port}")[0] == 403
    assert client.ask("/api/move?face=start", {})[0] == 200
    for origin in ("http://rebound.example", f"http://127.0.0.1:{int(port) - 1}", "null", ""):
        assert client.ask("/api/move?face=start", {}, Origin=origin)[0] == 403
    assert client.ask("/api/about", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert client.ask("/api/about", **{"Sec-Fetch-Site": "same-site"})[0] == 403  # another port of this machine
    for page in ("/", "/api/about"):
        headers = client.ask(page)[2]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_no_file_but_its_own_is_given(client: Client) -> None:
    for path in ("/pages/", "/../pyproject.toml", "/%2e%2e/server.py", "/..%2fserver.py", "/server.py", "//etc/passwd"):
        assert client.ask(path)[0] == 404
    assert client.ask("/", {})[0] == 405


def test_it_listens_on_the_loopback_alone(studio: Any) -> None:
    assert studio._socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(UsageError, match="host"):
        miex.studio(host="0.0.0.0")
    taken = studio._socket.getsockname()[1]
    with pytest.raises(OutputError, match=str(taken)):
        miex.studio(port=taken)


def test_the_other_loopback_is_asked_for() -> None:
    try:
        running = Studio(plain(), host="::1")
    except OutputError:
        pytest.skip("no IPv6 here")
    with running:
        assert running.address.startswith("http://[::1]:")
        assert Client(running.address).enter().ask("/api/first")[0] == 200


def test_requests_are_bounded(client: Client) -> None:
    assert "more" in client.error("/api/move?face=start", b"x" * (MOST_ASKED + 1))["found"]
    assert client.error("/api/move?face=start", b"{")
    assert client.error("/api/move?face=start", b"[" * 100_000)
    for wrong in (
        {"aus": {"3": [0, 0]}}, {"aus": {"12": [0.2]}}, {"aus": {"12": [0.2, 1.2]}}, {"aus": {"12": [-0.1, 0]}},
        {"way": 99}, {"seed": -1}, {"seed": 2**53}, {"nuisances": "much"}, {"nuisances": "x" * 300}, {"other": 1}, 3,
    ):  # fmt: skip
        assert client.error("/api/move?face=start", wrong)["asked"]
    assert "no longer kept" in client.error("/api/move?face=nobody", {})["found"]


def test_a_photo_is_taken_if_it_shows_a_face(client: Client) -> None:
    known = json.loads(client.ask("/api/photo?name=a%20photo.png", PHOTO.read_bytes())[1])
    assert (known["photo"], known["size"]) == ("a photo.png", SIZE)
    one, other = (
        client.ask(f"/api/move?face={face}", {"aus": {"12": [0.3, 0.3]}})[1] for face in ("start", known["id"])
    )
    assert pixels(one).tobytes() == pixels(other).tobytes()
    assert told(other)["command"].startswith("miex render 'a photo.png'")
    assert client.error("/api/photo?name=x", b"<svg/>")["found"] == "a web page or XML"
    gray = io.BytesIO()
    Image.new("L", (64, 64), 128).save(gray, "PNG")
    assert client.error("/api/photo?name=x", gray.getvalue())["expected"] == "a face"


def test_a_photo_is_written_nowhere_and_sent_nowhere(client: Client) -> None:
    """Neither by the server, which runs in this process, nor by what it calls in Python."""
    done: list[tuple[str, object]] = []
    port = int(client.base.rpartition(":")[2])

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if not watching:
            return
        if event == "open" and (set(given[1] or "") & set("wax+") or given[2] & (os.O_WRONLY | os.O_RDWR)):
            done.append((event, given[0]))
        if event == "socket.connect" and given[1][:2] != ("127.0.0.1", port):
            done.append((event, given[1]))

    watching = True
    sys.addaudithook(watch)  # stays for good
    face = json.loads(client.ask("/api/photo?name=x", PHOTO.read_bytes())[1])["id"]
    assert client.ask(f"/api/save?face={face}", {"aus": {"12": [0.2, 0.2]}})[0] == 200
    watching = False
    assert [what for what in done if what[1] != os.devnull] == []


def test_only_the_last_photos_are_kept() -> None:
    given = plain()
    with Studio(given) as running:
        own = Client(running.address).enter()
        content = io.BytesIO()
        Image.new("RGB", (8, 8)).save(content, "PNG")
        kept = [json.loads(own.ask("/api/photo?name=x", content.getvalue())[1])["id"] for _ in range(MOST_FACES + 2)]
        states = [own.ask(f"/api/move?face={face}", {})[0] for face in kept]
        assert states == [400] * 2 + [200] * MOST_FACES
        assert own.ask("/api/move?face=start", {})[0] == 200
    assert repr(running) == "studio, closed"
    with pytest.raises(OSError, match="refused"):
        own.ask("/")


def test_a_reading_is_that_of_the_pair(studio: Any) -> None:
    seen = []

    def read(onset: np.ndarray, apex: np.ndarray) -> dict[str, float]:
        seen.append((onset, apex))
        return {"positive": 0.75, "negative": 0.25}

    asked = {"aus": {"12": [0.3, 0.3]}, "nuisances": "all", "seed": 2}
    given = replace(plain(), read=read)
    with Studio(given) as running:
        client = Client(running.address).enter()
        assert json.loads(client.ask("/api/about")[1])["reads"]
        assert json.loads(client.ask("/api/read?face=start", asked)[1])["read"] == {"positive": 0.75, "negative": 0.25}
    made = miex.render(given.first().aligned, {12: 0.3}, nuisances="all", seed=2)
    assert np.array_equal(seen[0], (made.onset, made.apex))
    own = Client(studio.address).enter()  # with the recognizer that comes with miex
    made = miex.render(miex.align(PHOTO, size=SIZE), {12: 0.3})
    expected = miex.load_recognizer().predict((made.onset, made.apex)).probabilities
    found = json.loads(own.ask("/api/read?face=start", {"aus": {"12": [0.3, 0.3]}})[1])["read"]
    assert found == pytest.approx(expected)
    assert json.loads(own.ask("/api/read?face=start", {})[1])["refused"]["found"]  # nothing moves


def test_without_a_recognizer_nothing_is_read() -> None:
    with Studio(plain()) as running:
        client = Client(running.address).enter()
        assert not json.loads(client.ask("/api/about")[1])["reads"]
        assert client.error("/api/read?face=start", {})["expected"] == "a recognizer"


def plain() -> Given:
    """A face, and every picture shows the same."""
    face = miex.align(PHOTO, size=32)
    start = Face(face, "start.png", is_path=True)
    return Given(
        lambda: start,
        lambda image, name: face,
        list(ways(None)),
        ExpertSource(load_table("micro-dfme")),
    )


def told(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer[4 : 4 + int.from_bytes(answer[:4], "little")])
    return found


def pixels(answer: bytes) -> np.ndarray:
    """Onset and apex, uint8 RGBA [2, size, size, 4]."""
    start = 4 + int.from_bytes(answer[:4], "little")
    return np.frombuffer(answer, np.uint8, 2 * 4 * SIZE**2, start).reshape(2, SIZE, SIZE, 4)


ASKED: list[dict[str, Any]] = [
    {"aus": {"12": [0.2, 0.2]}},
    {"aus": {"12": [0.25, 0], "4": [0.1, 0.4567]}, "nuisances": "all", "seed": 7, "way": 1},
    {"aus": {}, "nuisances": "face", "seed": 3, "way": 2},
]


@pytest.mark.parametrize("asked", ASKED)
def test_the_lines_make_exactly_this_pair(
    client: Client, asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = client.ask("/api/move?face=start", asked)[1]
    status, saved, _ = client.ask("/api/save?face=start", asked)
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files.keys() == {"onset.png", "apex.png", "flicker.webp"}
    for how in ("command", "python"):
        (tmp_path / how).mkdir()
        monkeypatch.chdir(tmp_path / how)
        if how == "command":
            assert command(*shlex.split(told(answer)["command"])[1:]).returncode == 0
        else:
            exec(told(answer)["python"], {})
        assert {path.name: path.read_bytes() for path in Path("pair").iterdir()} == files
    for seen, name in zip(pixels(answer), ("onset.png", "apex.png"), strict=True):
        with Image.open(io.BytesIO(files[name])) as picture:
            assert np.array_equal(seen[..., :3], np.asarray(picture))
        assert (seen[..., 3] == 255).all()


def test_a_network_moves_both_sides_and_knows_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from tests.generators.ganimation_files import generator, named, write

    monkeypatch.chdir(tmp_path)
    weights = write(tmp_path / "net_epoch_1_id_G.pth", named(generator("original"), "original"))
    first = plain().first()
    given = replace(plain(), first=lambda: Face(first.aligned, str(PHOTO), is_path=True), ways=list(ways(weights)))
    asked = {"aus": {"12": [0.3, 0.3]}, "way": len(given.ways) - 1, "arrows": True}
    with Studio(given) as running:
        client = Client(running.address).enter()
        assert [one["sides"] for one in json.loads(client.ask("/api/about")[1])["ways"]] == [True, True, True, False]
        answer = client.ask("/api/move?face=start", asked)[1]
        assert told(answer)["motion"] is None
        assert len(answer) == 4 + int.from_bytes(answer[:4], "little") + 2 * 4 * 32**2  # no arrows
        sides = client.error("/api/move?face=start", {**asked, "aus": {"12": [0.3, 0]}})
        assert "both sides alike" in sides["found"]
        saved = client.ask("/api/save?face=start", asked)[1]
    assert command(*shlex.split(told(answer)["command"])[1:]).returncode == 0
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        assert archive.read("apex.png") == (tmp_path / "pair" / "apex.png").read_bytes()


def test_arrows_are_the_field(client: Client) -> None:
    asked = {"aus": {"12": [0.3, 0]}}
    without, answer = (client.ask("/api/move?face=start", {**asked, "arrows": on})[1] for on in (False, True))
    assert answer[: len(without)] == without
    arrows = np.frombuffer(answer[len(without) :], "<f4").reshape(-1, 4)
    assert len(arrows) > 20
    assert (np.hypot(*arrows[:, 2:].T) >= 0.02).all()
    strong = arrows[np.hypot(*arrows[:, 2:].T).argmax()]
    assert strong[0] > SIZE / 2  # the person's left is at the right of the picture
    assert strong[2] > 0
    assert strong[3] < 0  # out and up


def test_a_preset_is_drawn_from_the_table(client: Client) -> None:
    about = json.loads(client.ask("/api/about")[1])
    assert {"happiness", "surprise", "disgust"} <= set(about["emotions"])
    assert [au["au"] for region in about["regions"] for au in region["aus"]].count(12) == 1
    assert sum(len(region["aus"]) for region in about["regions"]) == 17
    draws = [client.ask(f"/api/preset?emotion=happiness&seed={seed}")[1] for seed in (0, 0, 1, 2)]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
    for draw in draws:
        for pair in json.loads(draw)["aus"].values():
            assert all(0 <= z <= 0.3 for z in pair)
            assert max(pair) >= 0.1
    assert client.error("/api/preset?emotion=nothing")["asked"]


def test_names_that_do_not_print_are_in_no_line() -> None:
    face = Face(None, "a\u202egnp.jpg", is_path=False)  # type: ignore[arg-type]
    assert _named(face) == "photo"
    assert _named(Face(None, "-rf.png", is_path=False)) == "./-rf.png"  # type: ignore[arg-type]
    assert _named(Face(None, "C:\\x\\y.png", is_path=False)) == "y.png"  # type: ignore[arg-type]


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"image none\.png"):
        miex.studio(tmp_path / "none.png")
    with pytest.raises(InputError):
        miex.studio(tmp_path)
    for photo in ("caf\udce9.png", Path("caf\udce9.png")):  # bytes of another encoding, as Python gives them
        with pytest.raises(InputError, match="UTF-8"):
            miex.studio(photo)


def test_without_the_extra_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith(("miex.web.", "starlette.", "uvicorn."))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UsageError, match=r"pip install 'miex\[studio\]'"):
        miex.studio()


def test_the_command_prints_the_address_and_ends_with_a_signal() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "miex", "studio", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        address = json.loads(running.stdout.readline())["address"]
        assert Client(address).enter().ask("/api/about")[0] == 200
        running.terminate()
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.communicate()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(address.split(":")[2].split("/")[0])), 1)
