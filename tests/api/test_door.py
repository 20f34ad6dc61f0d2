"""`import miex`: what it names, what it says of what it gives, and how its errors speak."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import miex
from miex.api.synthesize import report
from miex.aus.vector import AU_INDEX
from miex.dataset.reader import Dataset
from miex.errors import InputError, OutputError, UsageError
from miex.sources.pool import make_pool
from tests.corpus_fixture import corpus, tracks
from tests.support import photo_folder


def test_every_name_can_be_had_and_is_listed() -> None:
    for name in miex.__all__:
        assert getattr(miex, name) is not None
    assert set(miex.__all__) <= set(dir(miex))
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        miex.nothing_of_this_name  # noqa: B018
    for room in (miex.corpora, miex.generators):
        for name in room.__all__:
            assert getattr(room, name) is not None


def test_names_mean_functions_whatever_was_loaded_before(model: Path, tmp_path: Path) -> None:
    import miex.planning.rows
    import miex.sources.expert
    import miex.sources.real_mie

    assert miex.sources.expert("du2014", mu=0.2).mu == 0.2
    plan = miex.plan(tmp_path / "plan", ids=2, classes=["positive"], landmarker=model)
    assert re.fullmatch(r"2 samples planned · 2 identities · muscle \d+ · plan [0-9a-f]{4}…", repr(plan))


@pytest.fixture(scope="module")
def made(finished: Path) -> Dataset:
    return miex.open(finished)


def pictures(html: str) -> list[Image.Image]:
    data = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in data]


def test_a_set_says_what_it_is_and_shows_six_pairs_that_flicker(made: Dataset) -> None:
    text = repr(made)
    assert re.fullmatch(r"36 samples · 12 identities · muscle \d+ · plan [0-9a-f]{4}…", text)
    assert repr(made.select(label="surprise")).startswith("12 samples · 12 identities")
    html = made._repr_html_()
    assert "<script" not in html
    assert [picture.n_frames for picture in pictures(html)] == [2] * 6
    assert [picture.n_frames for picture in pictures(made[:2]._repr_html_())] == [2] * 2
    assert pictures(made[:0]._repr_html_()) == []


def test_a_sample_says_what_it_is_and_shows_its_pair_and_its_aus(made: Dataset) -> None:
    sample = made[0]
    text = repr(sample)
    assert text.startswith(f"{sample.sample_id}: {sample.label} ({sample.emotion}), AU")
    assert len(text) < 500
    assert all(one in text for one in sample.also_seen)
    text = text.split(" · also seen")[0]
    on = {int(n) for n in re.findall(r"AU(\d+) ", text)}
    assert on == {au for au, i in AU_INDEX.items() if sample.aus[sample.apex][i]}
    html = sample._repr_html_()
    (picture,) = pictures(html)
    for i, frame in enumerate(sample.pair):
        picture.seek(i)
        assert np.array_equal(np.asarray(picture.convert("RGB")), frame)
    assert {int(n) for n in re.findall(r"<th>AU(\d+)</th>", html)} >= on


def test_show_opens_what_flickers(made: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    path = made[3].show()
    assert opened == [path.as_uri()]
    with Image.open(path) as picture:
        assert picture.n_frames == 2
        picture.seek(1)
        assert np.array_equal(np.asarray(picture.convert("RGB")), made[3].pair[1])


def test_a_face_by_hand(face_photo: Path, model: Path) -> None:
    face = miex.align(face_photo, size=128, landmarker=model)
    pair = miex.render(face, {12: 0.3, "L4": 0.2})
    assert pair.onset.shape == (128, 128, 3)
    assert np.array_equal(pair.onset, face.crop)
    assert 0.1 < pair.measures.motion_p95_px < 20
    assert [picture.n_frames for picture in pictures(pair._repr_html_())] == [2]
    again = miex.render(face_photo, ["12=0.3", "L4=0.2"], size=128, landmarker=model)
    assert np.array_equal(again.apex, pair.apex)


def test_errors_speak_to_the_caller(model: Path, tmp_path: Path) -> None:
    """Names of arguments, no options of a command line."""
    wrong: list[dict[str, object]] = [
        {"size": 130}, {"per": 2, "samples": 9}, {"frames": 2, "until": "offset"}, {"generator": "magic"},
        {"sources": []}, {"faces_columns": {"who": "x"}}, {"nuisances": "none"}, {"nuisance": "off"}, {"classes": []},
        {"sources": "expert"}, {"sources": miex.sources.expert()}, {"faces": 3}, {"generator": "muscles"},
    ]  # fmt: skip
    for given in wrong:
        with pytest.raises(UsageError) as caught:
            miex.plan(tmp_path / "out", landmarker=model, **given)  # type: ignore[arg-type]
        assert not re.search(r"(^|\s)--[a-z]", str(caught.value)), given
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="`size` 130"):
        miex.render("x.jpg", {12: 0.2}, size=130, landmarker=model)
    with pytest.raises(UsageError, match="`max_failed` -1"):
        miex.synthesize(tmp_path / "out", max_failed=-1, landmarker=model)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [None, 3, b"set", ["set"]])
def test_what_is_no_path_is_refused(given: object) -> None:
    for call in (miex.open, miex.run, miex.verify, *([] if given is None else [miex.load_recognizer])):
        with pytest.raises(UsageError, match="text"):
            call(given)  # type: ignore[operator]


def test_a_wrong_path_leaves_nothing_behind(tmp_path: Path) -> None:
    for call in (miex.run, miex.repair):
        with pytest.raises(InputError, match="plan"):
            call(tmp_path / "wrong" / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_preview_keeps_pictures_that_are_not_its_own(face_photo: Path, model: Path, tmp_path: Path) -> None:
    photo = tmp_path / "onset.png"
    photo.write_bytes(face_photo.read_bytes())
    with pytest.raises(OutputError, match="the photo itself"):
        miex.render(photo, {12: 0.3}, out=tmp_path, landmarker=model)
    with pytest.raises(OutputError, match="did not make"):
        miex.render(face_photo, {12: 0.3}, out=tmp_path, landmarker=model)
    assert [path.name for path in tmp_path.iterdir()] == ["onset.png"]
    assert photo.read_bytes() == face_photo.read_bytes()
    for _ in range(2):  # its own may be replaced
        miex.render(photo, {12: 0.3}, out=tmp_path / "pair", landmarker=model)
    assert len(list((tmp_path / "pair").iterdir())) == 3


def test_a_set_or_plan_stands_for_its_folder_wherever_we_go(
    finished: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    shutil.copytree(finished, home / "sets" / "one")
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    near, at_home = miex.open("sets/one"), miex.open("~/sets/one")
    plan = miex.plan("sets/two", ids=1, size=32, classes=["positive"], landmarker=model)
    monkeypatch.chdir(elsewhere)
    assert near[0].sample_id == at_home[0].sample_id
    assert plan.rows.num_rows == 1
    assert miex.verify(near).problems == ()
    assert miex.run(at_home).summary.made == 36
    (made,) = miex.run(plan)
    assert made.label == "positive"
    assert miex.verify(plan).samples == 1
    assert miex.repair(miex.open(home / "sets" / "two")).summary.rendered == 0
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(UsageError, match="nobody-of-this-name"):
        miex.open("~nobody-of-this-name/set")


@pytest.mark.parametrize(
    ("job", "do"),
    [
        (miex.stream, "own `stream`"), (miex.run, "its plan"), (miex.repair, "its plan"),
        (miex.verify, "verify the set"), (report, "as `where`"),
    ],
)  # fmt: skip
def test_a_selection_is_never_taken_for_its_set(made: Dataset, job: Callable[[Dataset], object], do: str) -> None:
    for part in (made.where("label == 'surprise'"), made[:5].select(label="positive"), made[::-1]):
        assert part.part
        with pytest.raises(UsageError, match=f"selection of {len(part)} samples of .*") as caught:
            job(part)
        assert do in caught.value.do
    assert not any(one.part for one in (made, made[:], made.select(), made.where("apex == 1")))


def test_what_is_given_says_what_it_is_in_a_line(made: Dataset, face_photo: Path, model: Path, tmp_path: Path) -> None:
    clips = corpus()
    given = [
        (miex.align(face_photo, size=128, landmarker=model), r"aligned face of 128 px, \d+ px between the eyes"),
        (miex.sources.expert(), "expert: table micro-dfme, intensities 0.1 to 0.3"),
        (miex.sources.expert().table, r"expert table micro-dfme: \d+ emotions"),
        (miex.sources.coded_mie(clips), "coded_mie: 12 clips of casme2, intensities 0.1 to 0.3"),
        (miex.sources.real_mie(make_pool(clips, tracks(clips))), "real_mie: 9 clips of casme2, relative AUs"),
        (miex.sources.perturbed(miex.sources.expert(), 0.1), "expert: table .*, perturbed by up to 0.1"),
        (clips[0], "casme2/sub01/EP00: happiness · positive · onset 2, apex 6, offset 9 · 0 frames"),
        (miex.generators.make_generator("muscle"), r"generator muscle \d+"),
        (miex.examples(made), "36 examples: 12 negative, 12 positive, 12 surprise"),
    ]  # fmt: skip
    table = tmp_path / "clips.csv"
    miex.corpora.write_index(clips, table)
    given.append((miex.corpora.inspect("mine", table), r".* in .*: 12 clips · 0 with frames · 0 broken rows"))
    if find_spec("torch"):
        given.append((made.torch(), "torch dataset of 36 samples · 12 identities · .*"))
    for one, expected in given:
        assert re.fullmatch(expected, repr(one)), repr(one)
    assert miex.corpora.read("mine", table)[0].emotion == clips[0].emotion


def test_an_index_replaces_nothing_but_an_index(tmp_path: Path) -> None:
    for name in ("clips.csv", "clips.parquet"):
        for clips in (corpus(), [], corpus(2)):  # its own may be replaced
            assert miex.corpora.write_index(clips, tmp_path / name) == len(clips)
        (tmp_path / f"mine-{name}").write_text("subject,clip,onset,apex,offset,emotion\n1,a,1,2,3,joy\n")
        with pytest.raises(OutputError, match="index of miex"):
            miex.corpora.write_index(corpus(), tmp_path / f"mine-{name}")
        assert "joy" in (tmp_path / f"mine-{name}").read_text()


def test_a_fake_that_cannot_be_leaves_nothing_behind(model: Path, tmp_path: Path) -> None:
    for wrong in ({"size": 1}, {"subjects": 99}, {"subjects": 1}, {"generator": "magic"}):
        with pytest.raises(UsageError):
            miex.corpora.fake("casme2", tmp_path / "fake", landmarker=model, **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_samples_are_taken_by_places_arrays_and_masks(made: Dataset) -> None:
    ids = made.table["sample_id"].to_pylist()
    mask = np.arange(36) % 5 == 0
    for given, expected in (
        (slice(3, 1, -1), [3, 2]), ([0, -1], [0, 35]), (np.array([4, 4]), [4, 4]), (mask, np.flatnonzero(mask)),
        ([], []),
    ):  # fmt: skip
        assert made[given].table["sample_id"].to_pylist() == [ids[i] for i in expected]
    assert made[np.int64(2)].sample_id == ids[2]
    assert len(made.select(label=np.int64(2))) == len(made.select(label=["surprise"])) == 12
    for outside in (36, [36], -37):
        with pytest.raises(IndexError):
            made[outside]
    with pytest.raises(UsageError, match="a set that is not empty"):
        made[:0].select(label="surprise")


def test_progress_and_notes_go_to_who_asks(model: Path, tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    notes: list[str] = []
    made = miex.synthesize(
        tmp_path / "out", faces=photo_folder(tmp_path / "faces", 2), size=64, landmarker=model,
        progress=lambda what, done, total, note: stages.append((what, done, total)), say=notes.append,
    )  # fmt: skip
    ends = {what: (done, total) for what, done, total in stages}
    assert ends == {"finding faces": (2, 2), "planning samples": (6, 6), "making samples": (6, 6)}
    assert notes[0] == "2 photos, 2 usable; 2 identities; 6 samples"
    assert made.summary.made == 6
    assert made.gallery.is_file()
    again = miex.run(tmp_path / "out")
    assert (again.summary.rendered, again.summary.made) == (0, 6)
    assert miex.verify(tmp_path / "out").problems == ()
