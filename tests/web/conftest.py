"""A studio with a photo and a set whose names are hostile, and a browser."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex
from miex.dataset.reader import Dataset
from miex.faces.index import index_photos
from miex.faces.photos import default_pool
from miex.generators.registry import describe, make_generator
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, table_of
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan
from tests.browser import chromium

SIZE, COPIES = 96, 300
# a script, and a mark that turns the direction of what follows
HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">\u202e & 'quoted' {{title}}"


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What a condition gives as soon as it holds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
    return found


@dataclass
class Client:
    """Who asks a studio without a browser: knows its address, and keeps its cookie."""

    address: str
    jar: CookieJar = field(default_factory=CookieJar)

    @property
    def base(self) -> str:
        return self.address[: self.address.index("/", len("http://"))]

    def ask(self, path: str, content: Any = None, **headers: str) -> tuple[int, bytes, Any]:
        """(status, content, headers); a POST with the studio's own origin, if there is content."""
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        own = {} if body is None else {"Origin": self.base}
        request = urllib.request.Request(self.base + path, body, {**own, **headers})
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def enter(self) -> Client:
        assert self.ask(self.address[len(self.base) :])[0] == 200
        return self

    def error(self, path: str, content: Any = None) -> dict[str, str]:
        status, told, _ = self.ask(path, content)
        assert status in (400, 413)
        found: dict[str, str] = json.loads(told)["error"]
        return found


@pytest.fixture(scope="session")
def hostile_set(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Dataset:
    """3,600 samples, which are 12 again and again: their emotion and their photo's licence are hostile."""
    photos, out = tmp_path_factory.mktemp("hostile") / "photos", tmp_path_factory.mktemp("hostile-set")
    shutil.copytree(default_pool(), photos)
    (name,) = (path.name for path in photos.iterdir() if path.suffix == ".png")
    quoted = HOSTILE.replace('"', '""')
    (photos / "faces.csv").write_text(f'file,licence,attribution\n{name},"{quoted}","{quoted}"\n', "utf-8")
    rows = {
        f"row {i}": {"emotion": emotion, "label": label, "aus": aus}
        for i, (emotion, label, aus) in enumerate(
            [(HOSTILE, "negative", {4: 1.0}), ("joy", "positive", {12: 1.0, 6: 0.5}), ("wow", "surprise", {1: 1.0})]
        )
    }
    source = ExpertSource(table_of({"name": "hostile", "emotions": rows}, "here"), 0.1, 0.3)
    index = index_photos(photos, model=lambda: model)
    config = PlanConfig(ids=4, size=SIZE, frames="3")
    told = describe(make_generator("muscle"))
    adopt_plan(build_plan(config, index, [source], told, faces_root=str(photos.resolve())), out)
    run_plan(out)
    made = miex.open(out)
    assert len(made) == 12
    many: Dataset = made[np.tile(np.arange(12), COPIES)]
    return many


@pytest.fixture(scope="session")
def studio(hostile_set: Dataset, model: Path) -> Iterator[Any]:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with miex.studio(hostile_set, size=SIZE, landmarker=model) as running:
        yield running


@pytest.fixture(scope="session")
def client(studio: Any) -> Client:
    return Client(studio.address).enter()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    kept = tmp_path_factory.mktemp("downloads")
    with chromium(tmp_path_factory.mktemp("browser"), downloads=kept) as running:
        running.kept = kept
        running.set_script_timeout(30)
        yield running


def seen_as(browser: Any, width: int = 1400, height: int = 900, *, dark: bool = False, still: bool = True) -> None:
    """The browser's window, and what its user prefers."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    features = {
        "prefers-color-scheme": "dark" if dark else "light",
        "prefers-reduced-motion": "reduce" if still else "no-preference",
    }
    told = [{"name": name, "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})


@pytest.fixture
def look(studio: Any, browser: Any) -> Callable[..., Any]:
    """Opens a page of the studio, as somebody who prefers something sees it."""

    def opened(page: str = "", **prefers: Any) -> Any:
        seen_as(browser, **prefers)
        browser.get("about:blank")
        for log in ("browser", "performance"):
            browser.get_log(log)
        base, _, token = studio.address.partition("?")
        browser.get(base.removesuffix("set") + page + "?" + token)
        browser.execute_script("localStorage.clear()")
        browser.refresh()
        until(lambda: browser.execute_script("return document.body && document.body.dataset.ready"))
        return browser

    return opened
