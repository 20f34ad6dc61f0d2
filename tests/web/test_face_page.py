"""The page of a face, in a real browser: what is drawn is what was asked for."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import miex
from miex.faces.photos import default_pool, list_photos
from tests.web.conftest import SIZE, seen_as, until

pytest.importorskip("starlette")

PHOTO = default_pool() / list_photos(default_pool())[0]
Look = Callable[..., Any]


def pixels(browser: Any, canvas: str = "view") -> np.ndarray:
    script = """const c = document.getElementById(arguments[0]);
        return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"""
    return np.array(browser.execute_script(script, canvas), np.uint8).reshape(SIZE, SIZE, 4)[..., :3]


def drawn(browser: Any) -> int:
    return int(browser.execute_script("return +document.documentElement.dataset.drawn"))


def change(browser: Any, selector: str, value: Any, kind: str = "input") -> None:
    """What a person does to a control; and wait until the face shows it."""
    before = drawn(browser)
    script = """const e = document.querySelector(arguments[0]); e.value = arguments[1];
        e.dispatchEvent(new Event(arguments[2], {bubbles: true}))"""
    browser.execute_script(script, selector, value, kind)
    until(lambda: drawn(browser) > before)


def press(browser: Any, selector: str) -> None:
    before = drawn(browser)
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)
    until(lambda: drawn(browser) > before)


def show(browser: Any, what: str) -> None:
    browser.execute_script("document.querySelector(`#show input[value=${arguments[0]}]`).click()", what)
    until(lambda: browser.execute_script("return document.getElementById('view').dataset.frame") == what)


def slider(au: int, k: int = 0, kind: str = "range") -> str:
    return f".au[data-au='{au}'] .line:nth-child({k + 1}) input[type={kind}]"


@pytest.fixture(scope="module")
def face() -> Any:
    return miex.align(PHOTO, size=SIZE)


def test_a_slider_moves_the_picture(look: Look, face: Any) -> None:
    browser = look()
    assert np.array_equal(pixels(browser), face.crop)
    change(browser, slider(12), 0.3)
    assert (
        browser.execute_script("return document.querySelector(arguments[0]).value", slider(12, kind="number")) == "0.30"
    )
    made = miex.render(face, {12: 0.3})
    assert np.array_equal(pixels(browser), made.apex)  # who asks for less motion sees the apex
    show(browser, "onset")
    assert np.array_equal(pixels(browser), made.onset)
    show(browser, "difference")
    assert np.array_equal(pixels(browser), np.clip(128 + 10 * (made.apex.astype(int) - made.onset), 0, 255))
    show(browser, "apex")
    change(browser, slider(4, kind="number"), "0.125")  # typed
    assert np.array_equal(pixels(browser), miex.render(face, {12: 0.3, 4: 0.125}).apex)
    said = browser.execute_script("return document.getElementById('told').textContent")
    assert said.startswith("Motion ")
    press(browser, "#rest")
    assert np.array_equal(pixels(browser), face.crop)


def test_left_and_right_move_apart(look: Look, face: Any) -> None:
    browser = look()
    change(browser, slider(12), 0.2)
    press(browser, ".au[data-au='12'] .link")
    change(browser, slider(12, 0), 0.4)  # the left one
    assert np.array_equal(pixels(browser), miex.render(face, {"L12": 0.4, "R12": 0.2}).apex)
    change(browser, slider(12, 1), 0)
    assert np.array_equal(pixels(browser), miex.render(face, {"L12": 0.4}).apex)
    press(browser, ".au[data-au='12'] .link")
    assert np.array_equal(pixels(browser), miex.render(face, {12: 0.4}).apex)


def test_nuisances_generator_and_lines(look: Look, face: Any) -> None:
    browser = look()
    change(browser, slider(12), 0.2)
    change(browser, "#nuisances", "all")
    change(browser, "#seed", 5)
    change(browser, "#way", 1)
    expected = miex.render(face, {12: 0.2}, nuisances="all", seed=5, generator_options={"basis": "blendshapes"})
    assert np.array_equal(pixels(browser), expected.apex)
    command = browser.execute_script("return document.getElementById('command').textContent")
    assert shlex.split(command)[:5] == ["miex", "render", str(PHOTO), "--au", "12=0.2"]
    assert 'nuisances="all"' in browser.execute_script("return document.getElementById('python').textContent")
    browser.execute_script("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve() }")
    browser.execute_script("document.querySelector('[data-copies=command]').click()")
    assert until(lambda: browser.execute_script("return window.copied")) == command


def test_a_preset_is_drawn_and_drawn_again(look: Look) -> None:
    browser = look()
    values = "return [...document.querySelectorAll('.au .line:first-child input[type=range]')].map(e => +e.value)"
    press(browser, "[data-emotion=surprise]")
    first = browser.execute_script(values)
    assert 0 < max(first) <= 0.3
    press(browser, "#again")
    assert browser.execute_script(values) != first
    assert browser.execute_script("return document.querySelector('[data-emotion=surprise]').ariaPressed") == "true"


def test_the_reading_is_shown(look: Look) -> None:
    browser = look()
    text = "return document.getElementById('read').textContent"
    until(lambda: "expected" in browser.execute_script(text))  # of a face at rest nothing can be read
    change(browser, slider(12), 0.6)
    until(lambda: "positive" in browser.execute_script(text))
    assert browser.execute_script("return document.querySelectorAll('#read meter').length") == 3


def test_of_a_refused_move_nothing_old_is_kept(look: Look) -> None:
    browser = look()
    texts = "return ['command', 'python', 'told'].map(id => document.getElementById(id).textContent).join('')"
    disabled = "return document.querySelectorAll('#save:disabled, [data-copies]:disabled').length"
    browser.execute_script("""const known = window.fetch;
        window.fetch = (path, how) => down && path.startsWith('/api/move') ? Promise.reject() : known(path, how)""")
    busy = "return document.getElementById('read').getAttribute('aria-busy')"
    for down in (True, False):
        browser.execute_script("window.down = arguments[0]", down)
        change(browser, slider(12), 0.5 if down else 0.6)
        assert browser.execute_script(disabled) == (3 if down else 0)
        assert (browser.execute_script(texts) == "") is down
        if down:
            assert browser.execute_script(busy) == "true"
    until(lambda: browser.execute_script(busy) == "false")


def test_the_pair_is_saved(look: Look, face: Any) -> None:
    browser = look()
    change(browser, slider(9), 0.5)
    browser.find_element("id", "save").click()
    file = until(lambda: next(Path(browser.kept).glob("pair*.zip"), None))
    with zipfile.ZipFile(file) as archive, Image.open(io.BytesIO(archive.read("apex.png"))) as picture:
        assert np.array_equal(np.asarray(picture), miex.render(face, {9: 0.5}).apex)
    file.unlink()


def test_a_photo_is_dropped(look: Look, tmp_path: Path) -> None:
    browser = look()
    hostile = tmp_path / "<img src=x onerror=document.title='run'>.png"
    mirrored = Image.open(PHOTO).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(hostile)
    before = pixels(browser)
    browser.find_element("id", "file").send_keys(str(hostile))
    until(lambda: hostile.name in browser.execute_script("return document.getElementById('photo').textContent"))
    until(lambda: not np.array_equal(pixels(browser), before))
    assert np.array_equal(pixels(browser), miex.align(hostile, size=SIZE).crop)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    browser.find_element("id", "file").send_keys(str(text))
    until(lambda: "image text.png" in browser.execute_script("return document.getElementById('wrong').textContent"))
    assert browser.title == "miex studio: face"


def test_of_two_photos_the_last_one_stays(look: Look, face: Any, tmp_path: Path) -> None:
    browser = look()
    slow, quick = tmp_path / "slow.png", tmp_path / "quick.png"
    with Image.open(PHOTO) as photo:
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(slow)
        photo.save(quick)
    browser.execute_script("""const known = window.fetch;
        window.fetch = async (path, how) => {
            const answer = await known(path, how);
            if (!path.includes('slow')) return answer;
            const told = await answer.json();
            return {ok: true, json: () => new Promise(go => { window.late = () => go(told); })};
        }""")
    browser.find_element("id", "file").send_keys(str(slow))
    until(lambda: browser.execute_script("return Boolean(window.late)"))
    browser.find_element("id", "file").send_keys(str(quick))
    named = "return document.getElementById('photo').textContent"
    until(lambda: browser.execute_script(named) == quick.name)
    browser.execute_script("late()")
    change(browser, slider(12), 0.3)
    assert browser.execute_script(named) == quick.name
    assert np.array_equal(pixels(browser), miex.render(face, {12: 0.3}).apex)


def test_arrows_are_drawn(look: Look) -> None:
    browser = look()
    change(browser, slider(12), 0.3)
    press(browser, "#field")
    script = """const c = document.getElementById('arrows');
        const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return [+c.dataset.n, data.filter((a, i) => i % 4 === 3 && a > 0).length]"""
    n, inked = browser.execute_script(script)
    assert n > 20
    assert inked > n
    press(browser, "#field")
    assert browser.execute_script(script)[1] == 0


def test_it_flickers_unless_less_motion_is_asked_for(look: Look) -> None:
    changes = """const [seconds, done] = arguments, view = document.getElementById('view');
        let n = 0, last = view.dataset.frame;
        const watch = new MutationObserver(() => {
            if (view.dataset.frame !== last) { n++; last = view.dataset.frame; } });
        watch.observe(view, {attributes: true}); setTimeout(() => { watch.disconnect(); done(n); }, 1000 * seconds)"""
    assert look(still=True).execute_async_script(changes, 1) == 0
    browser = look(still=False)
    browser.execute_script(
        "const s = document.getElementById('speed'); s.value = 3; s.dispatchEvent(new Event('input'))"
    )
    assert (
        3 <= browser.execute_async_script(changes, 2) <= 12
    )  # two frames come and go in a round; busy machines drop some
    show(browser, "onset")
    assert browser.execute_async_script(changes, 0.5) == 0


def test_it_is_used_without_a_pointer_on_a_phone_and_in_the_dark(look: Look) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = look(width=320, height=640)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(wide) <= 0
    unnamed = """return [...document.querySelectorAll('button, input, select')].filter(e => e.checkVisibility() &&
        !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim()).length"""
    assert browser.execute_script(unnamed) == 0
    browser.execute_script("document.querySelector(arguments[0]).focus()", slider(1))
    before = drawn(browser)
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    until(lambda: drawn(browser) > before)
    assert browser.execute_script("return document.querySelector(arguments[0]).value", slider(1)) == "0.01"
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(paper)
    seen_as(browser, dark=True)
    assert browser.execute_script(paper) != light
    browser.find_element("id", "theme").click()  # from the system's to light
    assert browser.execute_script(paper) == light


def test_nothing_is_fetched_from_elsewhere(look: Look, studio: Any) -> None:
    browser = look()
    change(browser, slider(12), 0.3)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []  # fmt: skip
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    base = studio.address.partition("set?")[0]
    assert asked
    assert all(url.startswith((base, "blob:", "about:")) for url in asked)
