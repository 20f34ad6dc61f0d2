"""Two sets side by side: a set against itself, against a stronger one, against other people; and what is learned."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.api.compare import Compared, compare  # noqa: E402
from miex.dataset import Dataset, open_dataset  # noqa: E402
from miex.errors import UsageError  # noqa: E402
from miex.evaluation.folds import k_fold  # noqa: E402
from miex.evaluation.significance import Interval  # noqa: E402
from miex.experiments.compare import Comparison, Measure, compare_sets  # noqa: E402
from miex.experiments.learned import Learned, learned, learning, of_faces  # noqa: E402
from miex.faces.photos import default_pool  # noqa: E402
from miex.generators.registry import GENERATORS  # noqa: E402
from miex.images import Image  # noqa: E402
from miex.recognition.recipe import load_recipe  # noqa: E402
from miex.recognition.view import View, in_memory  # noqa: E402
from miex.synthesis.adopt import adopt_plan  # noqa: E402
from miex.synthesis.run import run_plan  # noqa: E402
from tests.contract.painter import Painter  # noqa: E402
from tests.recognition.planted import planted  # noqa: E402
from tests.support import command, facts, plan_of  # noqa: E402

QUICK = load_recipe("fixed").but(samples_seen=1280, batch=64)


@pytest.fixture(scope="module")
def weak(finished: Path) -> Dataset:
    return open_dataset(finished)


@pytest.fixture(scope="module")
def strong_folder(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """The same samples as in `finished`, their AUs at the upper end of its range."""
    out = tmp_path_factory.mktemp("strong")
    adopt_plan(plan_of(default_pool(), model, ids=12, shard_size=4, size=96, mu=0.299), out)
    run_plan(out)
    return out


def named(found: Comparison) -> dict[str, Measure]:
    return {one.name: one for one in found.measures}


def test_a_set_is_like_itself(weak: Dataset, model: Path, sface_model: Path) -> None:
    found = compare_sets(weak, weak, n=4, model=model, sface=sface_model)
    assert (found.shared, found.only, found.same_aus) == (36, (0, 0), 36)
    assert found.direction is not None
    assert found.direction.value == pytest.approx(1)
    assert {one.name for one in found.measures} >= {
        "motion of the AUs, mean over the face", "PSNR of the gray pair",
        "motion seen by optical flow, mean", "AU intensity read off the frames, sum",
        "SFace distance of the apex to the face at rest", "sharpness of the apex, 1: as the photo",
        "motion seen where AUs ask for it", "motion seen where no AU asks for it",
    }  # fmt: skip
    for one in found.measures:
        assert one.a == one.b
        assert (one.difference.value, one.difference.low, one.difference.high, one.difference.p) == (0, 0, 0, 1)
    json.dumps(found.plain(), allow_nan=False)


def test_a_stronger_set_is_seen_to_be_stronger(weak: Dataset, strong_folder: Path, model: Path) -> None:
    strong = open_dataset(strong_folder)
    found = compare_sets(weak, strong, n=6, model=model, sface=None)
    back = compare_sets(strong, weak, n=6, model=None, sface=None)
    assert found.shared == 36
    assert found.same_aus < 36
    moved, clearer = named(found)["motion of the AUs, mean over the face"], named(found)["PSNR of the gray pair"]
    expected = [np.mean(one.table["motion_mean_iod"].to_numpy()) * 100 for one in (weak, strong)]
    assert (moved.a, moved.b) == pytest.approx(expected)
    assert moved.difference.value == pytest.approx(expected[1] - expected[0])
    assert moved.difference.low > 0
    assert clearer.difference.high < 0  # what moves more is less alike
    assert named(found)["AU intensity of the frames, nuisances included, sum"].difference.value > 0
    assert named(back)["motion of the AUs, mean over the face"].difference.value == -moved.difference.value
    assert found.direction is not None
    assert 0 < found.direction.value < 1
    assert {"shape distance of the apex to the face at rest"} == {name for name in named(found) if "distance" in name}
    assert any("no SFace model" in note for note in found.notes)
    assert not any("AU intensity" in one.name for one in back.measures)
    assert any("landmark model" in note for note in back.notes)


def test_sets_without_a_shared_sample_are_compared_as_wholes(weak: Dataset) -> None:
    people = sorted(set(weak.table["identity"].to_pylist()))
    some, others = weak.select(identity=people[:5]), weak.select(identity=people[5:])
    found = compare_sets(some, others, n=5, model=None, sface=None)
    assert (found.shared, found.only) == (0, (15, 21))
    assert found.direction is None
    one = named(found)["SSIM of the gray pair"]
    assert one.n == (15, 21)
    assert one.difference.value == pytest.approx(
        np.mean(others.table["ssim"].to_numpy()) - np.mean(some.table["ssim"].to_numpy())
    )
    assert one.difference.low < one.difference.value < one.difference.high
    assert any("no sample" in note for note in found.notes)
    assert any("one photo" in note for note in found.notes)  # and its virtual identities
    with pytest.raises(UsageError):
        compare_sets(some, others[:0], model=None, sface=None)


def photographed(view: View, people: int) -> View:
    """The same examples as those of a set would be: AUs of nobody, so many photos."""
    rows = view.rows.to_pydict()
    n = len(view)
    rows |= {"source": ["expert"] * n, "corpus": [None] * n, "subject": [None] * n}
    rows["photo"] = [f"{i % people}.png" for i in range(n)]
    return in_memory(view.batch(), type(view.rows).from_pydict(rows, schema=view.rows.schema))


def test_more_is_learned_from_labels_that_are_true(tmp_path: Path) -> None:
    """b has the maps of a with classes dealt out anew: a recipe learns nothing from it that helps on a or on people."""
    a, real = photographed(planted(180), 12), planted(90, seed=9)
    b = a.labelled(np.random.default_rng(0).permutation(a.labels))
    study, notes = learning(a, b, QUICK, tmp_path, real=real, seeds=1)
    assert notes == []
    scores, more = learned(study, study.run())
    found = {(one.trained, one.tested): one for one in scores}
    assert set(found) == {(trained, tested) for trained in "ab" for tested in ("a", "b", "real")}
    assert found["a", "a"].uf1 > found["b", "a"].uf1 + 0.3
    assert found["a", "real"].uf1 > found["b", "real"].uf1 + 0.3
    # of the other set whoever's photo is tested is left out, a third; of the own set the folds see to it
    assert (found["a", "b"].refused, found["a", "a"].refused, found["a", "real"].refused) == (60, 0, 0)
    for one in more:
        trained = found["b", one.tested].uf1 - found["a", one.tested].uf1
        assert one.uf1.value == pytest.approx(trained)
    assert next(one for one in more if one.tested == "a").uf1.p is not None


def test_faces_of_people_who_are_tested_teach_nothing(tmp_path: Path) -> None:
    a, real = photographed(planted(180), 12), planted(90, seed=9)
    corpora, subjects = (real.rows[name].to_pylist() for name in ("corpus", "subject"))
    faces = {"3.png": (corpora[0], subjects[0])}
    study, _ = learning(a, a, QUICK.but(samples_seen=64), tmp_path, real=real, seeds=1, faces=faces)
    scores, _ = learned(study, study.run())
    assert {one.refused for one in scores if one.tested == "real"} == {15}


def test_a_set_whose_photos_one_fold_tests_is_left_out(tmp_path: Path) -> None:
    a = photographed(planted(180), 12)
    fold = k_fold(np.asarray(of_faces(a).people), 3, 0).folds[0]
    photo = np.asarray(a.rows["photo"].to_pylist())
    b = a.take(np.flatnonzero(np.isin(photo, np.unique(photo[fold.test])[:2])))
    study, notes = learning(a, b, QUICK.but(samples_seen=64), tmp_path, seeds=1)
    assert [(line.name, line.tested) for line in study.lines] == [("a", "a"), ("a", "b"), ("b", "b")]
    assert notes == ["Not trained on b and tested on a: a fold tests all photos of b."]
    scores, more = learned(study, study.run())
    assert (len(scores), [one.tested for one in more]) == (3, ["b"])


def test_one_shared_sample_is_no_pair(weak: Dataset) -> None:
    found = compare_sets(weak[[0, 1, 2]], weak[[2, 3, 4]], n=5, model=None, sface=None)
    assert (found.shared, found.only, found.direction) == (1, (2, 2), None)


def test_photos_that_are_gone_leave_a_note(weak: Dataset, model: Path, tmp_path: Path) -> None:
    found = compare_sets(weak, weak, n=2, model=model, sface=None, faces_root=tmp_path)
    assert any("likeness was not measured" in note for note in found.notes)
    assert any(note.startswith("Not compared") and "apex" in note for note in found.notes)
    assert "SSIM of the gray pair" in named(found)


@pytest.fixture(scope="module")
def two_photos(tmp_path_factory: pytest.TempPathFactory, model: Path, astronaut: Image) -> tuple[Path, Path]:
    """Two sets of the same samples on two photos, one weaker."""
    photos = tmp_path_factory.mktemp("photos")
    for name, photo in (("a", astronaut), ("b", astronaut[:, ::-1])):
        cv2.imwrite(str(photos / f"{name}.png"), photo[..., ::-1])
    folders = []
    for mu in (0.1, 0.299):
        folders.append(tmp_path_factory.mktemp("set"))
        adopt_plan(plan_of(photos, model, ids=2, per=6, size=64, mu=mu), folders[-1])
        run_plan(folders[-1])
    return folders[0], folders[1]


def test_two_generators_on_one_plan_are_told_apart(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GENERATORS, "painter", lambda: Painter)
    sets = []
    for name in ("muscle", "painter"):
        adopt_plan(plan_of(default_pool(), model, generator=name, ids=3, size=64, nuisances="off"), tmp_path / name)
        run_plan(tmp_path / name)
        sets.append(open_dataset(tmp_path / name))
    measured = compare_sets(*sets, n=9, model=None, sface=None)
    assert (measured.shared, measured.same_aus) == (9, 9)
    onset, apex = (named(measured)[f"sharpness of the {end}, 1: as the photo"] for end in ("onset", "apex"))
    assert onset.a == 1
    assert max(onset.b, apex.b) < 0.8 < 0.95 < apex.a  # a painter softens even what is at rest
    asked, unasked = (named(measured)[f"motion seen where {who} for it"] for who in ("AUs ask", "no AU asks"))
    assert asked.a > 10 * unasked.a
    found = Compared(("muscle", "painter"), measured, shown=(sets[0], sets[1]))
    files = {path.name: path for path in found.save(tmp_path / "out")}
    page = files["compare.html"].read_text()
    assert "a = muscle (muscle " in page
    assert "b = painter (painter 1)" in page
    assert page.count("data-sample=") == 9
    assert "motion seen where no AU asks for it" in page


def test_a_comparison_of_a_part_says_so_in_every_file(two_photos: tuple[Path, Path], tmp_path: Path) -> None:
    """A figure of a part is never taken for one of the whole."""
    query = "label == 'surprise'"
    found = compare(*two_photos, where=query, n=2, learn=False)
    table = Learned("a", "b", 0.5, 0.1, 2, Interval(0.5, 0.4, 0.6), 0)
    found = replace(found, learned=[table])
    titles = []
    chart = found.chart()
    assert chart is not None
    titles.append(chart.draw().get_suptitle().replace("\n", " "))
    for path in found.save(tmp_path / "out"):
        if path.suffix == ".json":
            assert json.loads(path.read_text())["where"] == query
        elif path.suffix == ".csv":
            head, *rows = path.read_text().splitlines()
            assert head.endswith(",where")
            assert all(row.endswith(f",{query}") for row in rows)
        elif path.suffix != ".png":
            titles.append(html.unescape(path.read_text()))
    assert len(titles) == 6
    assert all(f"only samples where {query}" in title for title in titles)
    part = compare(open_dataset(two_photos[0])[:9], two_photos[1], n=2, learn=False)
    assert part.sets[0] == f"{two_photos[0].name} (a part of it)"
    assert part.plain()["where"] is None


def test_sets_that_share_nothing_have_no_page(weak: Dataset, tmp_path: Path) -> None:
    people = sorted(set(weak.table["identity"].to_pylist()))
    some, others = weak.select(identity=people[:5]), weak.select(identity=people[5:])
    found = Compared(("a", "b"), compare_sets(some, others, n=2, model=None, sface=None))
    assert found.page() is None


def test_the_command(
    finished: Path, two_photos: tuple[Path, Path], tmp_path: Path, model: Path, sface_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recipe = tmp_path / "quick.toml"
    recipe.write_text('like = "fixed"\nsamples_seen = 128\nbatch = 64\n')
    options = ["--n", 3, "--recipe", recipe, "--seeds", 1, "--store", tmp_path / "store"]
    options += ["--landmarker", model, "--sface", sface_model]
    found = facts("compare", *two_photos, *options, "--out", tmp_path / "table")
    assert (found["shared"], found["only"]) == (36, [0, 0])
    assert {(one["trained"], one["tested"]) for one in found["learned"]} == {(x, y) for x in "ab" for y in "ab"}
    assert set(found["more_from_b"]) == {"a", "b"}
    assert {"compare.md", "compare-learned.tex", "compare.json", "compare.png", "compare.html"} <= {
        path.name for path in (tmp_path / "table").iterdir()
    }
    shown = command("compare", *two_photos, *options)
    assert "36 samples in both" in shown.stdout
    assert "tested on a" in shown.stdout
    measured = command("compare", *two_photos, "--n", 2, "--no-learn", "--where", "label == 'surprise'")
    assert measured.returncode == 0, measured.stderr
    assert "12 samples in both" in measured.stdout
    assert "tested on a" not in measured.stdout
    assert "only samples where label == 'surprise'" in " ".join(measured.stdout.split())
    alone = command("compare", finished, finished, *options)
    assert alone.returncode == 0, alone.stderr
    assert "Nothing was trained" in alone.stdout
    assert command("compare", *two_photos, "--no-learn", "--real", finished).returncode == 2
    # what cannot be is said before anything is measured
    monkeypatch.setattr("miex.experiments.compare.compare_sets", lambda *a, **b: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    for odd in (["--recipe", "nosuch"], ["--real", "nosuch.npz"], ["--store", tmp_path / "file"]):
        assert command("compare", *two_photos, "--landmarker", model, *odd).returncode in (2, 3, 5), odd
    assert command("compare", *two_photos, "--out", tmp_path / "file").returncode == 2
    assert command("compare", finished, tmp_path).returncode == 3
