"""The gallery, in a real browser: what it shows is what it was given."""

from __future__ import annotations

import base64
import io
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from skimage import data

from miex.aus.vector import AU_NUMBERS
from miex.dataset.choose import choose
from miex.dataset.frames import encode_frame
from miex.errors import UsageError
from miex.labels import Label
from miex.nuisances.columns import NAMES
from miex.report import build
from miex.report.gallery import GallerySample, render_gallery
from miex.report.gathered import gathered
from miex.report.statistics import statistics_of
from tests.browser import chromium

HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> & 'quoted'"
EMOTIONS = {0: ("sad", "angry"), 1: ("happy",), 2: ("surprised",)}
SIDE = 48


def frames(i: int) -> tuple[np.ndarray, np.ndarray]:
    """An onset and an apex that is the onset with a patch made brighter, both uint8 RGB."""
    onset = np.ascontiguousarray(data.astronaut()[40 + i : 40 + i + SIDE, 180 : 180 + SIDE])
    apex = onset.astype(int)
    apex[10:20, 10 + i % 20 : 20 + i % 20] += (
        9  # ten times 9 stays below white only where 128 + 90 does: clipping is seen
    )
    apex[30:35, 30:35] -= 20
    return onset, np.clip(apex, 0, 255).astype(np.uint8)


def rendered(aus: np.ndarray, i: int) -> dict[str, Any]:
    """Every fourth sample blinks by 0.5 at the onset, every second one has AU 9 more by 0.1 at the left of the apex."""
    left, right = aus.copy(), aus.copy()
    left[0, -1] = right[0, -1] = 0.5 * (i % 4 == 0)
    left[1, AU_NUMBERS.index(9)] += 0.1 * (i % 2)
    nuisances = dict.fromkeys(NAMES) | {"residual": [0.1, 0.01 * i] if i % 3 else None}
    return {"sides": None, "rendered_left": left.tolist(), "rendered_right": right.tolist(), **nuisances}


def rows(n: int = 24) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    made = []
    for i in range(n):
        label = i % 3
        aus = np.zeros((2, 17), np.float32)
        aus[1] = np.where(rng.random(17) < 0.3, rng.uniform(0.1, 0.3, 17), 0)
        aus[1, i % 17] = 0.2
        made.append(
            {
                "sample_id": f"id{i // 3:02d}-expert-{Label(label).name}-0000",
                "identity": f"id{i // 3:02d}",
                "source": "expert" if i % 2 else "real_mie",
                "label": label,
                "emotion": HOSTILE if i == 4 else EMOTIONS[label][i % len(EMOTIONS[label])],
                "apex": 1,
                "aus": aus.tolist(),
                **rendered(aus, i),
                "status": "failed" if i == 7 else "ok",
                "reason": "identical: by chance" if i == 7 else "",
                "motion_mean_px": 0.1 + i,
                "motion_p95_px": 0.2 + i,
                "motion_mean_iod": 0.001 * i,
                "motion_p95_iod": 0.002 * i,
                "psnr": float("inf") if i == 8 else 30.0 + i,
                "ssim": 0.95,
            }
        )
    return made


def table_of(made: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(made)


def told_of(made: list[dict[str, Any]]) -> dict[str, Any]:
    return statistics_of(gathered([table_of(made)]))


def sample_of(row: dict[str, Any], i: int) -> GallerySample:
    measures = {key: row[key] for key in row if key.startswith("motion") or key in ("psnr", "ssim")}
    return GallerySample(
        sample_id=row["sample_id"],
        identity=row["identity"],
        virtual=i % 5 == 0,
        label=Label(row["label"]).name,
        emotion=row["emotion"],
        source=row["source"],
        frames=tuple(encode_frame(frame, "png") for frame in frames(i)),
        mime="image/png",
        apex=1,
        shrunk=i == 3,
        aus=np.asarray(row["aus"], np.float32),
        also_seen=("AU 9: 0 → 0.10", HOSTILE) if i % 2 else (),
        licence="CC0" if i % 2 else HOSTILE,
        attribution="somebody",
        **measures,
    )


MADE = rows()
SHOWN = [(i, row) for i, row in enumerate(MADE) if row["status"] == "ok"][:15]


def measured() -> dict[str, Any]:
    """As `describe_audit` tells it: AU 12 in too few pairs, the others read at half their intensity."""
    slopes = np.eye(17) * 0.5
    aus = {
        str(au): {
            "pairs": 20, "slope": 0.5, "correlation": 0.9, "false_alarm": 0.01, "most_taken_for": 1, "crosstalk": 0.0
        }
        for au in AU_NUMBERS if au != 12
    }  # fmt: skip
    crosstalk = [[None] * 17 if au == 12 else slopes[i].tolist() for i, au in enumerate(AU_NUMBERS)]
    spread = {"n": 24, "quantiles": [0.1, 0.2, 0.3, 0.4, 0.5]}
    near = {"n": 24, "quantiles": [0.01, 0.02, 0.03, 0.04, 0.05]}
    kept = {"onset": near, "apex": near, "relatives": None, "people": spread, "ratio": 0.1, "own_onset": 1.0}
    return {
        "measured": 24, "of": 240, "seed": 5, "size": 256,
        "aus": {"pairs": 24, "aus": aus, "crosstalk": crosstalk},
        "identity": {"SFace": kept | {"own_apex": 0.75, "faces": 8}},
        "sharpness": {"onset": {"n": 24, "quantiles": [1, 1, 1, 1, 1]}, "apex": spread},
        "motion": {"asked": spread, "unasked": near, "ratio": 10.4, "still": 0.25},
        "outside": {"measured": 24, "unchanged": 23, "still": 0.5, "pixels": {"median": 4.0, "most": 4}},
        "notes": [HOSTILE],
    }  # fmt: skip


def page() -> str:
    samples = [sample_of(row, i) for i, row in SHOWN]
    return render_gallery(
        title=HOSTILE, facts={"seed": HOSTILE, "plan": "ab" * 32}, samples=samples, statistics=told_of(MADE),
        measured=measured(),
    )  # fmt: skip


def test_same_input_same_text() -> None:
    assert page() == page()


def test_parts_that_do_not_fit_are_refused() -> None:
    good = sample_of(MADE[0], 0)
    for change in ({"apex": 2}, {"mime": "text/html"}, {"frames": ()}, {"aus": np.zeros((1, 17), np.float32)}):
        with pytest.raises(UsageError):
            render_gallery(title="t", facts={}, samples=[replace(good, **change)], statistics=told_of(MADE))


def test_choice_is_stratified_and_does_not_depend_on_order() -> None:
    many = [{**row, "sample_id": f"{row['sample_id']}-{k}", "status": "ok"} for k in range(40) for row in rows(24)]
    table = table_of(many)
    chosen = choose(table, 30, seed=3)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 30
    for parts in (("label", "source"), ("label",)):  # every stratum is large enough, and labels have 1 to 3 emotions
        keys = [tuple(row[part] for part in parts) for row in many]
        counts = Counter(keys[i] for i in chosen)
        assert set(counts) == set(keys)
        assert max(counts.values()) == min(counts.values())
    emotions = Counter((many[i]["label"], many[i]["source"], many[i]["emotion"]) for i in chosen)
    assert emotions.keys() == {(row["label"], row["source"], row["emotion"]) for row in many}
    order = np.random.default_rng(0).permutation(len(many))
    again = choose(table.take(order), 30, seed=3)
    assert {many[order[i]]["sample_id"] for i in again} == {many[i]["sample_id"] for i in chosen}
    assert choose(table, 30, seed=4) != chosen
    assert choose(table, 0, seed=0) == []
    assert set(choose(table_of(MADE), 10**6, 0)) == {i for i, row in enumerate(MADE) if row["status"] == "ok"}


def test_a_page_has_no_more_samples_than_fit(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    for most, side, n in ((250_000, 256, range(3, 13)), (250_000, 32, range(14, 37)), (1, 256, range(1, 2))):
        monkeypatch.setattr(build, "MOST_BYTES", most)
        monkeypatch.setattr(build, "MOST_SIDE", side)
        html = build.write_report(out).read_text("utf-8")
        told = json.loads(html.split('<script type="application/json" id="data">')[1].split("</script>")[0])
        cards = told["samples"]
        assert len(cards) in n
        assert len(json.dumps(cards)) < most or most == 1
        labels = Counter(card["label"] for card in cards)
        assert max(labels.values()) - min(labels.values()) <= 1
        assert len(labels) == min(3, len(cards))
        with Image.open(io.BytesIO(base64.b64decode(cards[0]["frames"][0]))) as picture:
            assert picture.size == (min(96, side),) * 2
        assert told["shrunk"] == (side < 96)


def test_the_page_tells_how_much_is_seen_beside_the_coded_aus() -> None:
    """By hand, of the 23 rows that were made: `rendered` says what they are."""
    told = told_of(MADE)["also"]
    ok = [i for i in range(24) if i != 7]
    assert told["n"] == len(ok)
    assert told["blink"] == sum(i % 4 == 0 for i in ok)
    assert told["aus"] == sum(i % 2 for i in ok)
    assert told["residual"] == sum(i % 3 > 0 for i in ok)
    assert (told["head"], told["pictures"]) == (0, 0)
    coded = np.array([np.sum(MADE[i]["aus"][1]) for i in ok])
    beside = np.array([0.5 * (i % 4 == 0) + 0.05 * (i % 2) for i in ok])  # AU 9 on one side of two
    assert told["larger"] == np.sum(beside > coded)
    assert told["coded"] == pytest.approx(np.median(coded), abs=1e-5)
    assert told["beside"] == pytest.approx(np.median(beside), abs=1e-5)
    assert told["residual_iod"] == pytest.approx(np.median([0.01 * i for i in ok if i % 3]))


def test_what_pages_tell_does_not_depend_on_blocks() -> None:
    """Nor does what is kept of a sample grow with its frames."""
    table = table_of(MADE)
    whole, parts = gathered([table]), gathered(table.slice(i, 5) for i in range(0, 24, 5))
    assert statistics_of(parts) == statistics_of(whole)
    assert parts.made.equals(whole.made)
    assert parts.places.tolist() == [i for i in range(24) if i != 7]
    assert parts.reasons == {"identical: by chance": 1}
    held = {name: [row[name] * 40 for row in MADE] for name in ("aus", "rendered_left", "rendered_right")}
    longer = table_of([{**row, **{name: held[name][i] for name in held}} for i, row in enumerate(MADE)])
    assert gathered([longer]).made.nbytes == whole.made.nbytes


def test_choice_takes_each_identity_as_rarely_as_possible() -> None:
    many = [
        {"sample_id": f"{who}-{label}", "identity": f"{who}", "source": "expert", "label": label, "emotion": f"{label}"}
        for who in range(20)
        for label in range(3)
    ]  # a table of good rows alone has no status
    for n, most in ((18, 1), (20, 1), (40, 2), (60, 3)):
        identities = [many[i]["identity"] for i in choose(table_of(many), n, seed=n)]
        assert max(identities.count(identity) for identity in identities) == most


def test_an_empty_set_has_a_page() -> None:
    nothing = table_of(MADE).slice(0, 0)
    statistics = statistics_of(gathered([nothing]))
    assert choose(nothing, 60, 0) == []
    assert '"samples":[]' in render_gallery(title="t", facts={}, samples=[], statistics=statistics)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser"), "--window-size=1400,4000") as running:
        yield running


@pytest.fixture
def gallery(browser: Any, tmp_path: Path) -> Any:
    path = tmp_path / "gallery.html"
    path.write_text(page(), "utf-8")
    browser.get("about:blank")  # ends the loading of the browser's own start page, so that the log is ours alone
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready !== undefined"))
    until(lambda: browser.execute_script("return document.querySelectorAll('#cards .card img').length >= 30"))
    return browser


def until(holds: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def shown_ids(browser: Any) -> set[str]:
    return set(
        browser.execute_script("return [...document.querySelectorAll('.card:not([hidden])')].map(c => c.dataset.id)")
    )


def tick(browser: Any, group: str, value: object) -> None:
    script = """const box = [...document.querySelectorAll(`[data-group=${arguments[0]}] label`)]
        .find(row => row.dataset.value === arguments[1]).querySelector('input'); box.click()"""
    browser.execute_script(script, group, str(value))


def changes(browser: Any, seconds: float) -> int:
    """How often the first card shows another frame in that time."""
    script = """const [seconds, done] = arguments, card = document.querySelector('.card');
        let n = 0, last = card.dataset.frame;
        const watch = new MutationObserver(() => {
            if (card.dataset.frame !== last) { n++; last = card.dataset.frame; } });
        watch.observe(card, {attributes: true}); setTimeout(() => { watch.disconnect(); done(n); }, 1000 * seconds);"""
    return int(browser.execute_async_script(script, seconds))


def set_speed(browser: Any, position: int) -> float:
    script = "const s = document.getElementById('speed'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
    browser.execute_script(script, position)
    return float(browser.execute_script("return document.getElementById('rate').textContent").split()[0])


def test_nothing_is_fetched_and_nothing_hostile_runs(gallery: Any) -> None:
    assert gallery.title != "run"
    assert [entry for entry in gallery.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    messages = [json.loads(entry["message"])["message"] for entry in gallery.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert all(url.startswith(("file://", "data:")) for url in asked)
    assert any(url.startswith("file://") for url in asked)
    text = gallery.execute_script("return document.body.textContent")
    assert HOSTILE in text  # shown as text, in full


def test_cards_show_the_frames_that_were_given(gallery: Any) -> None:
    assert shown_ids(gallery) == {row["sample_id"] for _, row in SHOWN}
    script = """return [...document.querySelectorAll('.card')].map(card =>
        [card.dataset.id, [...card.querySelectorAll('img')].map(image => image.src)])"""
    sources = dict(gallery.execute_script(script))
    for i, row in SHOWN:
        for source, frame in zip(sources[row["sample_id"]], frames(i), strict=True):
            content = base64.b64decode(source.split(",", 1)[1])
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), frame)


def test_cards_say_what_is_seen_beside_the_coded_aus(gallery: Any) -> None:
    script = "return [...document.querySelectorAll('.card')].map(card => card.querySelector('.also').textContent)"
    told = gallery.execute_script(script)
    nothing = "nothing else than the coded AUs"
    assert told == [f"also seen AU 9: 0 → 0.10 · {HOSTILE}" if i % 2 else nothing for i, _ in SHOWN]


def test_what_was_measured_is_shown(gallery: Any) -> None:
    told = "return [...document.querySelectorAll(arguments[0])].map(node => node.textContent)"
    (scope,) = gallery.execute_script(told, "#measuredScope")
    assert scope == "24 samples of 240 (stratified random choice, seed 5), the stored frames of 256 × 256 px."
    rows = gallery.execute_script(told, ".recovered tbody tr")
    assert len(rows) == 16
    assert not any(row.startswith("AU 12") for row in rows)
    assert "0.50" in rows[0]
    titles = gallery.execute_script(told, "#crosstalk svg title")
    assert len(titles) == 17 * 17
    assert titles.count("AU 12: in too few pairs") == 17
    assert sum(title.endswith(": 0.50") for title in titles) == 16
    paragraphs = gallery.execute_script(told, "#measuredFaces p")
    assert paragraphs[0].startswith(
        "Among 8 rest faces, 75 % of the apexes and 100 % of the onsets are nearest to their own."
    )
    medians = {
        of: len(gallery.execute_script(told, f"#measuredFaces svg[data-of={of}] .median"))
        for of in ("SFace", "sharpness", "motion")
    }
    assert medians == {"SFace": 3, "sharpness": 2, "motion": 2}  # relatives: none
    assert any("25 % of it" in text and "10 times as large" in text for text in paragraphs)
    assert gallery.execute_script("return document.getElementById('outside').dataset.unchanged") == "23"


def test_flicker_speed_pause_and_hold(gallery: Any) -> None:
    gallery.set_script_timeout(20)
    slow = set_speed(gallery, 20)
    few = changes(gallery, 3)
    fast = set_speed(gallery, 70)
    many = changes(gallery, 3)
    assert few == pytest.approx(2 * slow * 3, abs=2)  # two frames come and go in every round
    assert 1.5 * few < many < 1.3 * 2 * fast * 3  # a busy machine drops frames
    play = gallery.find_element("id", "play")
    play.click()
    assert changes(gallery, 1) == 0
    play.click()
    assert changes(gallery, 1) > 2
    for value, frame in (("onset", "0"), ("apex", "1")):
        gallery.execute_script("document.querySelector(`#show input[value=${arguments[0]}]`).click()", value)
        until(
            lambda frame=frame: gallery.execute_script("return document.querySelector('.card').dataset.frame") == frame
        )
        assert changes(gallery, 0.5) == 0
        seen = gallery.execute_script("return [...document.querySelectorAll('.card img.on')].map(i => i.dataset.frame)")
        assert set(seen) == {frame}


def test_difference_is_ten_times_apex_minus_onset(gallery: Any) -> None:
    gallery.execute_script("document.querySelector('#view input[value=both]').click()")
    until(lambda: gallery.execute_script("return document.querySelectorAll('canvas[data-ready]').length") == len(SHOWN))
    script = """return [...document.querySelectorAll('.card')].map(card => { const c = card.querySelector('canvas');
        return [card.dataset.id, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]; })"""
    drawn = dict(gallery.execute_script(script))
    for i, row in SHOWN:
        onset, apex = (frame.astype(int) for frame in frames(i))
        expected = np.clip(128 + 10 * (apex - onset), 0, 255)
        assert {0, 128, 218} <= set(expected.ravel().tolist())
        assert np.array_equal(np.array(drawn[row["sample_id"]]).reshape(SIDE, SIDE, 4)[..., :3], expected)


def active(row: dict[str, Any], au: int) -> bool:
    return bool(row["aus"][1][AU_NUMBERS.index(au)])


@pytest.mark.parametrize(
    ("ticks", "keeps"),
    [
        ([("label", "positive")], lambda row: row["label"] == 1),
        ([("label", "positive"), ("label", "surprise")], lambda row: row["label"] in (1, 2)),
        ([("source", "real_mie")], lambda row: row["source"] == "real_mie"),
        ([("emotion", HOSTILE)], lambda row: row["emotion"] == HOSTILE),
        ([("au", 12)], lambda row: active(row, 12)),
        ([("au", 1), ("au", 4)], lambda row: active(row, 1) and active(row, 4)),
        ([("label", "negative"), ("emotion", "sad"), ("au", 2)],
         lambda row: row["label"] == 0 and row["emotion"] == "sad" and active(row, 2)),
    ],
)  # fmt: skip
def test_filters_keep_exactly_what_they_say(gallery: Any, ticks: list[tuple[str, Any]], keeps: Any) -> None:
    for group, value in ticks:
        tick(gallery, group, value)
    expected = {row["sample_id"] for _, row in SHOWN if keeps(row)}
    assert shown_ids(gallery) == expected
    said = gallery.execute_script("return document.getElementById('shown').textContent")
    assert said == f"{len(expected)} of {len(SHOWN)} shown"
    gallery.find_element("id", "reset").click()
    assert len(shown_ids(gallery)) == len(SHOWN)


def test_identity_filter_and_counts(gallery: Any) -> None:
    gallery.find_element("id", "identity").send_keys("ID02")
    assert shown_ids(gallery) == {row["sample_id"] for _, row in SHOWN if row["identity"] == "id02"}
    script = """return [...document.querySelectorAll('[data-group=label] label')]
        .map(row => [row.dataset.value, +row.querySelector('.count').textContent])"""
    counts = dict(gallery.execute_script(script))
    for label in Label:
        assert counts.get(label.name, 0) == sum(row["identity"] == "id02" and row["label"] == label for _, row in SHOWN)


def test_distributions_are_of_the_whole_set(gallery: Any) -> None:
    """Against numpy, over all rows that are there, not only those of the sheet."""
    made = [row for row in MADE if row["status"] == "ok"]
    assert len(made) > len(SHOWN)
    script = """return [...document.querySelectorAll('table.use tr[data-au]')]
        .map(row => [+row.dataset.au, JSON.parse(row.dataset.use)])"""
    use = dict(map(tuple, gallery.execute_script(script)))
    for au in AU_NUMBERS:
        assert use[au] == [sum(active(row, au) for row in made if row["label"] == label) for label in range(3)]
    script = """return [...document.querySelectorAll('table.counts[data-of=emotion] tr[data-value]')]
        .map(r => [r.dataset.value, JSON.parse(r.dataset.counts)])"""
    emotions = dict(map(tuple, gallery.execute_script(script)))
    for emotion in {row["emotion"] for row in made}:
        expected = [sum(row["emotion"] == emotion and row["label"] == label for row in made) for label in range(3)]
        assert emotions[emotion] == expected
    script = """const p = document.querySelector(`svg.plot[data-of=${arguments[0]}]`);
        return [JSON.parse(p.dataset.edges), JSON.parse(p.dataset.counts), p.dataset.infinite]"""
    for name, column in (("motion", "motion_p95_iod"), ("psnr", "psnr")):
        edges, counts, infinite = gallery.execute_script(script, name)
        values = np.array([row[column] for row in made])
        finite = np.isfinite(values)
        assert np.sum(counts, 0).tolist() == np.histogram(values[finite], edges)[0].tolist()
        assert int(infinite) == (~finite).sum()


def test_works_on_a_phone_and_with_the_keyboard(gallery: Any) -> None:
    gallery.set_window_size(500, 900)
    wide = gallery.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    gallery.set_window_size(1400, 4000)
    reachable = gallery.execute_script(
        "return [...document.querySelectorAll('button, input, select')].filter(e => e.tabIndex < 0).length"
    )
    assert reachable == 0
    unnamed = """return [...document.querySelectorAll('input, select')].filter(e =>
        !(e.labels && e.labels.length) && !e.getAttribute('aria-label')).length"""
    assert gallery.execute_script(unnamed) == 0


def test_each_intensity_is_counted(gallery: Any) -> None:
    made = [row for row in MADE if row["status"] == "ok"]
    script = """const t = document.querySelector('table.use'); return [JSON.parse(t.dataset.edges),
        [...t.querySelectorAll('tr[data-au]')].map(r => [+r.dataset.au, JSON.parse(r.dataset.counts)])]"""
    edges, counts = gallery.execute_script(script)
    assert (edges[0], edges[-1], len(edges)) == (0, 0.3, 21)
    for au, by_label in counts:
        for label in range(3):
            z = np.array([row["aus"][1][AU_NUMBERS.index(au)] for row in made if row["label"] == label])
            assert by_label[label] == np.histogram(z[z > 0], edges)[0].tolist()
    script = """return [...document.querySelectorAll(`table.counts[data-of=${arguments[0]}] tr[data-value]`)]
        .map(r => [r.dataset.value, JSON.parse(r.dataset.counts)])"""
    for name, values in (("label", [label.name for label in Label]), ("source", ["real_mie", "expert"])):
        found = gallery.execute_script(script, name)
        assert [value for value, _ in found] == values  # in the field's order, not the alphabet's
        for value, n in found:
            key = Label[value].value if name == "label" else value
            assert n == [sum(row[name] == key and row["label"] == label for row in made) for label in range(3)]


def test_bars_and_licences_of_the_sheet(gallery: Any) -> None:
    script = """return [...document.querySelectorAll('.card')].map(c => [c.dataset.id,
        [...c.querySelectorAll('[data-au]')].map(r => [+r.dataset.au, +r.dataset.apex])])"""
    bars = dict(gallery.execute_script(script))
    for _, row in SHOWN:
        expected = {au: z for au, z in zip(AU_NUMBERS, row["aus"][1], strict=True) if z}
        assert dict(map(tuple, bars[row["sample_id"]])) == pytest.approx(expected, rel=1e-5)
    entries = gallery.execute_script("return [...document.querySelectorAll('#licenceList li')].map(e => e.textContent)")
    for name, odd in (("CC0", 1), (HOSTILE, 0)):
        ours = [row for i, row in SHOWN if i % 2 == odd]
        entry = next(entry for entry in entries if entry.startswith(name))
        assert f"{len(ours)} samples" in entry
        assert f"{len({row['identity'] for row in ours})} identities" in entry


def open_page(browser: Any, path: Path, samples: list[GallerySample]) -> None:
    path.write_text(render_gallery(title="t", facts={}, samples=samples, statistics=told_of(MADE)), "utf-8")
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.querySelector('.card').dataset.frame !== undefined"))


def test_a_sequence_plays_in_order(browser: Any, tmp_path: Path) -> None:
    onset, apex = frames(0)
    between = ((onset.astype(int) + apex) // 2).astype(np.uint8)
    sequence = tuple(encode_frame(frame, "png") for frame in (onset, between, apex, between))
    aus = np.zeros((4, 17), np.float32)
    aus[2, 3] = 0.2
    open_page(browser, tmp_path / "g.html", [replace(sample_of(MADE[0], 0), frames=sequence, apex=2, aus=aus)])
    set_speed(browser, 20)
    script = """const done = arguments[0], card = document.querySelector('.card'), seen = [];
        const watch = new MutationObserver(() => seen.push(+card.dataset.frame));
        watch.observe(card, {attributeFilter: ['data-frame']}); setTimeout(() => done(seen), 3000);"""
    seen = browser.execute_async_script(script)
    assert len(seen) >= 8
    assert all((b - a) % 4 == 1 for a, b in pairwise(seen))
    browser.execute_script("document.querySelector('#show input[value=apex]').click()")
    until(lambda: browser.execute_script("return document.querySelector('.card').dataset.frame") == "2")
    browser.execute_script("document.querySelector('#view input[value=both]').click()")
    until(lambda: browser.execute_script("return document.querySelector('canvas[data-ready]')"))
    script = """const c = document.querySelector('canvas');
        return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"""
    drawn = np.array(browser.execute_script(script)).reshape(SIDE, SIDE, 4)[..., :3]
    assert np.array_equal(drawn, np.clip(128 + 10 * (apex.astype(int) - onset), 0, 255))


def test_who_asks_for_less_motion_starts_at_rest(browser: Any, tmp_path: Path) -> None:
    less = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", less)
    try:
        open_page(browser, tmp_path / "g.html", [sample_of(MADE[0], 0)])
        assert changes(browser, 1) == 0
        browser.find_element("id", "play").click()
        assert changes(browser, 1.5) > 1
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
