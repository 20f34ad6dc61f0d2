"""How direct the studio is: from a slider to the picture, and through a set of 45,000 samples.

    python -m benchmarks.studio [--out FILE]

The embedded face at 256 px; in headless Chromium, driven by chromedriver, both of which must be there. All times are
wall time, since that is what people wait for: they count whatever else the machine does, which the load tells.
"""

from __future__ import annotations

import http.client
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import miex
from benchmarks.page import page, parser
from miex.api.studio import ways
from miex.faces.photos import default_pool, list_photos
from miex.web.face import Asked, Face
from miex.web.sets import SetPages

TIMES, SAMPLES, IDS = 50, 45_000, 30
# a slider is moved; the picture is there when its pixels are, and shown with the next frame of the browser
_SLIDE = """
const [times, nuisances, done] = arguments, root = document.documentElement, found = [];
const range = document.querySelector(".au[data-au='12'] input[type=range]");
const next = () => new Promise(requestAnimationFrame);
const drawn = () => new Promise(seen => { const watch = new MutationObserver(() => { watch.disconnect(); seen(); });
    watch.observe(root, {attributeFilter: ['data-drawn']}); });
(async () => {
  const select = document.getElementById('nuisances');
  select.value = nuisances; let ready = drawn(); select.dispatchEvent(new Event('input')); await ready;
  for (let i = 0; i < times + 5; i++) {
    await new Promise(rest => setTimeout(rest, 30));
    const start = performance.now();
    ready = drawn();
    range.value = 0.1 + 0.8 * (i % 50) / 50;
    range.dispatchEvent(new Event('input'));
    await ready;
    const pixels = performance.now() - start;
    await next();
    found.push([pixels, performance.now() - start]);
  }
  done(found.slice(5));
})();
"""
_SCROLL = """
const [times, done] = arguments, grid = document.getElementById('grid'), found = [];
const next = () => new Promise(requestAnimationFrame);
(async () => {
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    grid.scrollTop += 150;
    await next(); await next();
    found.push(performance.now() - start);
  }
  done([found, document.querySelectorAll('.tile').length]);
})();
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("studio", __doc__)
    given = options.parse_args(arguments)
    photo = default_pool() / list_photos(default_pool())[0]
    face, offered = Face(miex.align(photo), str(photo), is_path=True), list(ways(None))
    with page("How direct the studio is", options, given), tempfile.TemporaryDirectory() as folder:
        print(f"Medians of {TIMES}, wall time, ms (in parentheses the 90th percentile).\n")
        print("## From slider to picture, 256 px\n")
        print(
            "| nuisances | frames made | answer over HTTP | pixels on the canvas | shown by the browser |\n|"
            + "---|" * 5
        )
        few = miex.synthesize(Path(folder, "set"), ids=IDS)
        many = few[np.arange(SAMPLES) % len(few)]
        with miex.studio(many) as running, _browser(folder) as browser:
            _open(browser, running.address, "")
            for level in ("off", "face", "all"):
                asked = [Asked(aus={12: (z, z)}, nuisances=level) for z in np.linspace(0.1, 0.9, TIMES).tolist()]
                face.moved(asked[0], offered)
                made = [_timed(lambda one=one: face.moved(one, offered)) for one in asked]  # type: ignore[misc]
                sent = _sent(running.address, asked)
                pixels, shown = np.array(browser.execute_async_script(_SLIDE, TIMES, level)).T.tolist()
                print(f"| {level} | " + " | ".join(map(_said, (made, sent, pixels, shown))) + " |")
            print("\n`frames made`: onset and apex in this process, without the server.")
            print(f"\n## A set of {SAMPLES:,} samples\n")
            print("| what | ms |\n|---|---|")
            seen = SetPages(many, "set")
            for query in ("", "label == 'positive' and AU12 >= 0.2", "motion_p95_px > 1 and emotion != 'surprise'"):
                seen.chosen(query)
                times = [_timed(lambda q=query: seen.chosen(q)) for _ in range(TIMES)]  # type: ignore[misc]
                print(f"| `{query or 'all'}`, with counts | {_said(times)} |")
            strips = [_timed(lambda i=i: seen.strip(i)) for i in range(TIMES)]  # type: ignore[misc]
            print(f"| onset and apex of a sample, small | {_said(strips)} |")
            _open(browser, running.address, "set")
            scrolled, tiles = browser.execute_async_script(_SCROLL, TIMES)
            print(f"| a row further in the browser, two frames, {tiles} tiles in the page | {_said(scrolled)} |")


def _sent(address: str, asked: Sequence[Asked]) -> list[float]:
    """Times of whole answers, over one connection."""
    place = urlsplit(address)
    link = http.client.HTTPConnection(place.netloc)
    link.request("GET", f"{place.path}?{place.query}")
    first = link.getresponse()
    first.read()
    own = {"Origin": f"http://{place.netloc}", "Cookie": (first.getheader("set-cookie") or "").partition(";")[0]}

    def ask(one: Asked) -> None:
        link.request("POST", "/api/move?face=start", one.model_dump_json(), own)
        answer = link.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()

    ask(asked[0])
    return [_timed(lambda one=one: ask(one)) for one in asked]  # type: ignore[misc]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def _said(times: Sequence[float]) -> str:
    return f"{median(times):.1f} ({np.percentile(times, 90):.0f})"


def _browser(folder: str) -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder}/b",
    ):
        options.add_argument(flag)
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    made.set_script_timeout(120)
    made.set_window_size(1400, 900)
    return made


def _open(browser: Any, address: str, name: str) -> None:
    before, _, token = address.partition("?")
    browser.get(f"{before.removesuffix('set')}{name}?{token}")
    while not browser.execute_script("return document.body && document.body.dataset.ready"):
        time.sleep(0.1)


if __name__ == "__main__":
    main()
