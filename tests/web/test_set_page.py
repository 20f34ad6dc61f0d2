"""The page of a set, in a real browser, with thousands of samples and hostile names."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from miex.aus.vector import AU_INDEX
from miex.dataset.reader import Dataset
from tests.web.conftest import COPIES, HOSTILE, SIZE, Client, until

pytest.importorskip("starlette")

Look = Callable[..., Any]
N = 12 * COPIES


@pytest.fixture
def page(look: Look) -> Any:
    return look("set")


def test_rows_are_those_of_where(client: Client, hostile_set: Dataset) -> None:
    ids = hostile_set.table["sample_id"].to_pylist()
    for query in (
        "",
        "label == 'positive' and AU12 >= 0.2",
        f"emotion == {json.dumps(HOSTILE)}",
        "motion_p95_px < 0.5",
    ):
        found = json.loads(client.ask("/api/set/rows", query)[1])
        expected = hostile_set.where(query) if query else hostile_set
        assert [ids[i] for i in found["rows"]] == expected.table["sample_id"].to_pylist()
        assert sum(found["facets"]["label"].values()) == len(expected)
    told = json.loads(client.ask("/api/set/tiles", [13, 0])[1])
    assert [one["sample_id"] for one in told] == [ids[13], ids[0]]


def test_a_query_of_the_page_opens_no_file(client: Client, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    found = client.error("/api/set/rows", f"sample_id in @{tmp_path}/secret.txt")
    assert "files are not read here" in found["expected"]
    for wrong in (3, ["x"], "AU12 >", "nothing == 1", "(" * 5000):
        assert client.error("/api/set/rows", wrong)["asked"]
    for wrong in ([N], [-1], [True], ["0"], list(range(300)), {}):
        assert client.error("/api/set/tiles", wrong)["asked"]
    assert client.error(f"/api/set/sample/{N}")["asked"]
    assert client.error("/api/set/frame/0/9")["asked"]
    assert client.ask("/api/set/strip/-1")[0] == 404
    assert client.ask(f"/api/set/strip/{'9' * 5000}")[0] == 404
    nines = b"[" + b"9" * 5000 + b"]"
    for path in ("/api/set/rows", "/api/set/tiles"):
        for wrong in (b"\xff", b'"\xff"', nines, b"[" + b"9" * 30 + b"]"):
            assert client.error(path, wrong)["asked"]
    assert client.error("/api/set/rows", f"AU12 > {'9' * 5000}")["asked"]
    assert client.error("/api/set/rows", b"\"emotion == '\\ud800'\"")["asked"]
    assert client.ask("/api/set/tiles", [])[:2] == (200, b"[]")


def test_pictures_are_those_of_the_set(client: Client, hostile_set: Dataset) -> None:
    status, content, headers = client.ask("/api/set/frame/5/1")
    assert headers["cache-control"] == "no-store"  # another set may have the same address
    assert (status, headers["content-type"]) == (200, "image/png")
    assert content == hostile_set.stored(5).frames[1]
    with Image.open(io.BytesIO(client.ask("/api/set/strip/5")[1])) as strip:
        seen = np.asarray(strip).astype(int)
    assert seen.shape == (SIZE, 2 * SIZE, 3)
    assert np.abs(seen - np.hstack(hostile_set.pair(5))).mean() < 3  # JPEG
    told = json.loads(client.ask("/api/set/sample/5")[1])
    sample = hostile_set[5]
    assert (told["sample_id"], told["also_seen"]) == (sample.sample_id, list(sample.also_seen))
    assert told["provenance"]["licence"] == sample.provenance["licence"] == HOSTILE
    for one in told["aus"]:
        i = AU_INDEX[one["au"]]
        assert one["coded"] == pytest.approx(sample.aus[[0, sample.apex], i].tolist(), abs=1e-3)
        assert one["left"] == pytest.approx(sample.rendered[[0, sample.apex], i, 0].tolist(), abs=1e-3)
    assert not any("aus" in name for name in told["provenance"])


def count(page: Any) -> str:
    return str(page.execute_script("return document.getElementById('count').textContent"))


def chosen(page: Any) -> int:
    return int(page.execute_script("return +document.body.dataset.chosen"))


def do(page: Any, script: str, *given: Any) -> None:
    """Something that chooses other samples, and wait for them."""
    before = chosen(page)
    page.execute_script(script, *given)
    until(lambda: chosen(page) > before)


def test_only_what_is_seen_is_in_the_page(page: Any) -> None:
    assert count(page) == f"{N:,} of {N:,} samples"
    tiles = "return [...document.querySelectorAll('.tile')].map(t => +t.dataset.i)"
    first = page.execute_script(tiles)
    assert 0 in first
    assert len(first) < 200
    page.execute_script("document.getElementById('grid').scrollTop = 1e9")
    until(lambda: N - 1 in page.execute_script(tiles))
    last = page.execute_script(tiles)
    assert len(last) < 200
    assert 0 not in last
    captions = "return [...document.querySelectorAll('.tile .caption')].every(c => c.textContent)"
    until(lambda: page.execute_script(captions))
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    strips = {m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"
              and "/strip/" in m["params"]["request"]["url"]}  # fmt: skip
    assert len(strips) <= 2 * 200


def test_filters_make_a_query_and_count(page: Any, hostile_set: Dataset) -> None:
    tick = """[...document.querySelectorAll(`#facets [data-facet=${arguments[0]}] input`)]
        .find(e => e.value === arguments[1]).click()"""
    do(page, tick, "emotion", HOSTILE)
    where = "return document.getElementById('where').value"
    expected = hostile_set.where(page.execute_script(where))
    assert count(page) == f"{len(expected):,} of {N:,} samples"
    assert set(expected.table["emotion"].to_pylist()) == {HOSTILE}
    do(page, "document.getElementById('reset').click()")
    do(page, tick, "label", "positive")
    do(page, "document.querySelector('#aus [data-au=\"12\"]').click()")
    do(page, "const e = document.getElementById('least'); e.value = 0.2; e.dispatchEvent(new Event('input'))")
    do(page, "const e = document.getElementById('motionMost'); e.value = 50; e.dispatchEvent(new Event('change'))")
    expected = hostile_set.where("label == 'positive' and AU12 >= 0.2 and motion_p95_px <= 50")
    assert hostile_set.where(page.execute_script(where)).table.equals(expected.table)
    assert count(page) == f"{len(expected):,} of {N:,} samples"
    do(page, "document.getElementById('where').value = \"label == 'surprise'\";"
       "document.getElementById('ask').requestSubmit()")  # fmt: skip
    assert count(page) == f"{len(hostile_set.where('label == 2')):,} of {N:,} samples"
    do(page, "document.getElementById('where').value = 'AU12 >'; document.getElementById('ask').requestSubmit()")
    assert "expected" in page.execute_script("return document.getElementById('wrong').textContent")


def test_keys_go_through_samples_mark_them_and_save_the_list(page: Any, hostile_set: Dataset) -> None:
    from selenium.webdriver.common.keys import Keys

    until(lambda: page.execute_script("return document.querySelector('.tile .caption').textContent"))
    page.execute_script("document.getElementById('grid').focus()")
    at = "return document.querySelector('.tile.here').dataset.i"

    def type_(*keys: str) -> None:
        page.switch_to.active_element.send_keys(*keys)

    type_("m", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, "m", Keys.END)
    until(lambda: page.execute_script(at) == str(N - 1))
    type_(Keys.HOME, Keys.ARROW_RIGHT)
    assert page.execute_script(at) == "1"
    assert page.execute_script("return document.getElementById('marked').textContent") == "2 marked"
    page.find_element("id", "export").click()
    file = until(lambda: next(Path(page.kept).glob("marked*.txt"), None))
    until(lambda: file.read_text())
    ids = [hostile_set.table["sample_id"][i].as_py() for i in (0, 2)]
    assert file.read_text("utf-8").split() == sorted(ids)
    found = hostile_set.where(f"sample_id in @'{file}'")
    assert set(found.table["sample_id"].to_pylist()) == set(ids)
    assert len(found) == 2 * COPIES
    file.unlink()
    page.refresh()
    until(lambda: page.execute_script("return document.body && document.body.dataset.ready"))
    assert page.execute_script("return document.getElementById('marked').textContent") == "2 marked"


def test_one_sample_in_full(page: Any, hostile_set: Dataset) -> None:
    from selenium.webdriver.common.keys import Keys

    page.execute_script("document.getElementById('grid').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    shown = "return document.getElementById('sample').open && document.getElementById('sample').dataset.place"
    until(lambda: page.execute_script(shown) == "1")
    sample = hostile_set[1]

    def pixels() -> np.ndarray:
        script = """const c = document.getElementById('view');
            return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"""
        return np.array(page.execute_script(script), np.uint8).reshape(SIZE, SIZE, 4)[..., :3]

    onset, apex = sample.pair
    assert np.array_equal(pixels(), apex)
    page.execute_script("document.querySelector('#show input[value=difference]').click()")
    assert np.array_equal(pixels(), np.clip(128 + 10 * (apex.astype(int) - onset), 0, 255))
    page.execute_script("document.querySelector('#show input[value=play]').click()")
    frames = "return document.getElementById('view').dataset.frame"
    until(lambda: page.execute_script(frames) == "1")
    until(lambda: page.execute_script(frames) == "2")
    text = page.execute_script("return document.getElementById('sample').textContent")
    assert sample.sample_id in text
    assert HOSTILE in text
    for also in sample.also_seen:
        assert also in text
    page.execute_script("document.getElementById('mark').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    until(lambda: page.execute_script(shown) == "2")
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(lambda: not page.execute_script("return document.getElementById('sample').open"))


def test_hostile_names_are_text(page: Any) -> None:
    text = page.execute_script("return document.body.textContent")
    assert HOSTILE in text
    assert page.title == "miex studio: set"
    assert page.execute_script("return document.querySelectorAll('main img, main script').length") == 0
    alone = "return [...document.querySelectorAll('bdi')].some(e => e.textContent.includes(arguments[0]))"
    assert page.execute_script(alone, HOSTILE)  # whose direction turns nothing else
    assert [entry for entry in page.get_log("browser") if "Security Policy" in entry["message"]] == []


def test_it_flickers_where_the_pointer_is(look: Look) -> None:
    page = look("set", still=False)
    # a tile that is laid anew under a pointer that rests is entered by it again
    enter = """const tile = document.querySelector('.tile');
        if (tile !== window.entered) { tile.dispatchEvent(new Event('pointerenter')); window.entered = tile; }"""
    apex = "return document.querySelector('.tile').classList.contains('apex')"
    until(lambda: page.execute_script(enter + apex))
    until(lambda: not page.execute_script(apex))
    page.execute_script("document.querySelector('.tile').dispatchEvent(new Event('pointerleave'))")
    assert page.execute_script(apex) is False


def test_mark_means_the_sample_that_is_shown(page: Any, hostile_set: Dataset) -> None:
    """Also where the next one cannot be loaded, and another page of the set marks, too."""
    from selenium.webdriver.common.keys import Keys

    page.execute_script("""const known = window.fetch;
        window.fetch = (path, how) => path.endsWith('/sample/1') ? Promise.reject() : known(path, how);
        document.querySelector('.tile').click()""")
    until(lambda: page.execute_script("return document.getElementById('sample').open"))
    page.execute_script("document.getElementById('mark').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    until(lambda: "does not answer" in page.find_element("id", "wrongSample").text)
    key = f"miex-marks-{hostile_set.record['digests']['plan']}"
    page.execute_script("localStorage.setItem(arguments[0], '[\"another\"]')", key)
    page.find_element("id", "mark").click()
    until(lambda: page.find_element("id", "mark").text == "Marked")
    kept = json.loads(page.execute_script("return localStorage.getItem(arguments[0])", key))
    assert kept == ["another", hostile_set.table["sample_id"][0].as_py()]
    page.execute_script("const q = document.getElementById('where'); q.value = 'AU12 >'; q.form.requestSubmit()")
    until(lambda: page.execute_script("return !document.getElementById('wrong').hidden"))
    assert not page.find_element("id", "markAll").is_enabled()


def test_it_fits_a_phone(look: Look) -> None:
    page = look("set", width=320, height=640)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.execute_script(wide) <= 0
    page.execute_script("document.querySelector('.tile').click()")
    until(lambda: page.execute_script("return document.getElementById('sample').open"))
    page.execute_script("document.querySelector('#sample details').open = true")
    wider = """return [...document.querySelectorAll('#sample, #sample :not(.unseen)')].filter(e =>
        e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== 'visible').map(e => e.outerHTML)"""
    assert page.execute_script(wider) == []
    unnamed = """return [...document.querySelectorAll('button, input, select')].filter(e => e.checkVisibility() &&
        !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim()).length"""
    assert page.execute_script(unnamed) == 0
