"""What a set is worth, in real people: on maps whose crossing is known, by hand, and as typed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import miex  # noqa: E402
from miex.errors import InputError, UsageError  # noqa: E402
from miex.evaluation.evaluate import Evaluation  # noqa: E402
from miex.evaluation.results import Results  # noqa: E402
from miex.executors.base import InProcess, Outcome, Result, Task  # noqa: E402
from miex.experiments.study import Line, Study  # noqa: E402
from miex.experiments.worth import REAL, SYNTHETIC, WAYS, At, InPeople, Point, crossing, lines, points  # noqa: E402
from miex.recognition.examples import of_maps  # noqa: E402
from miex.recognition.inputs.flow import FlowMaps  # noqa: E402
from miex.recognition.recipe import Recipe, load_recipe  # noqa: E402
from miex.recognition.view import View  # noqa: E402
from tests.recognition.planted import QUICK  # noqa: E402
from tests.support import command, facts  # noqa: E402

SVM = load_recipe("fixed").but(recognizer="hoof")
TINY = QUICK.but(samples_seen=128, batch=32)


class LastFirst(InProcess):
    """Does the tasks in another order, each from its pickle, as other processes might."""

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Task, Result]]:
        return super().run(function, [pickle.loads(pickle.dumps(task)) for task in reversed(tasks)])


def maps_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """Flow maps that anything tells apart: class k moves down in its quarter of the rows, all else is noise."""
    maps = np.random.default_rng(seed).normal(128, 4, (len(labels), 28, 28, 3))
    for i, k in enumerate(labels):
        maps[i, 7 * k : 7 * k + 7, :, 1] += 80
    return maps.clip(0, 255).astype(np.uint8)


def flow_file(path: Path, labels: list[int], people: list[int] | None = None, seed: int = 0) -> Path:
    """A flow file: real clips of these people, or samples of a set."""
    n = len(labels)
    if people is None:
        whose = {"source": ["expert"] * n, "sample_id": [f"{seed}-{i}" for i in range(n)]}
    else:
        whose = {"corpus": ["casme2"] * n, "subject": [f"sub{i + 1:02d}" for i in people]}
        whose["sample_id"] = [f"clip{i}" for i in range(n)]
    np.savez(path, flow=maps_of(np.array(labels), seed), label=labels, **whose)  # type: ignore[arg-type]
    return path


def view_of(path: Path, cache: Path) -> View:
    from miex.recognition.flow_file import read_flow

    return read_flow(path).through(FlowMaps(), cache)


@pytest.fixture
def one_class_each(tmp_path: Path) -> View:
    """Twelve people with two clips each, four people of each class."""
    people = np.repeat(np.arange(12), 2)
    return view_of(flow_file(tmp_path / "real.npz", (people % 3).tolist(), people.tolist()), tmp_path)


def synthetic(labels: list[int], seed: int, cache: Path) -> View:
    return of_maps(maps_of(np.array(labels), seed), labels, source="expert", prefix=f"{seed}").through(
        FlowMaps(), cache
    )


def run(planned: dict[At, Line], store: Path) -> tuple[list[Evaluation], dict[At, Point], list[InPeople]]:
    found = Study(list(planned.values()), Results(store)).run()
    made, worths = points(planned, found)
    return found, {point.at: point for point in made}, worths


def test_the_crossing_by_hand() -> None:
    """log2 of 2, 4, 8 is 1, 2, 3: from −0.1 at 4 to +0.1 at 8 the gap is 0 at 2^2.5; from −0.1 to +0.3 at 2^2.25."""
    gaps = np.array([
        [-0.2, -0.2, 0.0, 0.1, -0.3, -0.2, -0.1, np.nan],
        [-0.1, -0.1, -0.1, 0.2, -0.2, 0.0, 0.1, 0.1],
        [+0.1, +0.3, 0.2, 0.3, -0.1, 0.1, -0.1, 0.1],
    ])  # fmt: skip
    assert crossing([2, 4, 8], gaps).tolist() == pytest.approx([2**2.5, 2**2.25, 0, 0, np.inf, 4, 2**1.5])
    told = InPeople("", 2**2.5, 0, np.inf, 2, 8)
    assert [told.said(one) for one in (told.people, told.low, told.high)] == ["5.7", "2 or fewer", "more than 8"]
    assert told.plain() == {"view": "", "people": 2**2.5, "low": "2 or fewer", "high": "more than 8"}


def test_a_set_is_worth_as_many_people_as_show_every_class(one_class_each: View, tmp_path: Path) -> None:
    """Everybody shows one class, so that fewer than three people never show all, and nine always do; who trained on a
    class knows it. The set shows all: two or four people alone know less, and nine as much."""
    made = synthetic([0, 1, 2] * 8, 1, tmp_path)
    planned = lines([made], {"": one_class_each}, SVM, counts=[2, 4, 9], draws=5, seeds=1)
    _, found, (worth,) = run(planned, tmp_path / "store")
    assert [at.way for at in found if at.people == 2] == [REAL, SYNTHETIC, "both together"]  # no fine-tuning of an SVM
    chosen = [planned[At("", 4, REAL)].cells[0].folds[i].folds[0].train for i in range(5)]
    known = [set(one_class_each.labels[train].tolist()) for train in chosen]
    assert {len(classes) for classes in known} == {2, 3}  # some draws of four show all, and some do not
    for count in (2, 4, 9):
        alone = found[At("", count, REAL)].draws
        complete = [len(classes) == 3 for classes in known] if count == 4 else [count == 9] * 5
        assert [uf1 == 1 for uf1 in alone] == complete
        assert all(uf1 <= 2 / 3 for uf1, whole in zip(alone, complete, strict=True) if not whole)
        for way in (SYNTHETIC, "both together"):
            point = found[At("", count, way)]
            assert point.draws == [1.0] * 5
            assert point.against is not None
            assert point.against.value == pytest.approx(1 - np.mean(alone))
            assert (point.trained, point.tested) == (2 * count, 24 - 2 * count)
    assert (worth.people, worth.high) == pytest.approx((9, 9))
    assert 2 < worth.low < 9.001
    two, nine = (found[At("", count, SYNTHETIC)] for count in (2, 9))
    assert two.against is not None
    assert nine.against is not None
    assert two.against.p is not None
    assert two.corrected is not None
    assert 0 < two.against.low <= two.against.value <= two.against.high
    assert two.against.p < 0.05
    assert two.against.p <= two.corrected
    assert (nine.against.value, nine.against.p) == (0, 1)


@pytest.mark.parametrize(("count", "shuffled", "people"), [(2, False, np.inf), (9, True, 0)])
def test_beyond_what_was_measured(
    one_class_each: View, tmp_path: Path, count: int, shuffled: bool, people: float
) -> None:
    labels = [0, 1, 2] * 8
    made = synthetic(labels, 1, tmp_path).labelled(labels[1:] + labels[:1] if shuffled else labels)
    planned = lines([made], {"": one_class_each}, SVM, counts=[count], draws=2, seeds=1)
    _, _, (worth,) = run(planned, tmp_path / "store")
    assert (worth.people, worth.low, worth.high) == (people, people, people)


def test_every_way_of_training_has_the_same_draws(one_class_each: View, tmp_path: Path) -> None:
    sets = [synthetic([0, 1, 2], seed, tmp_path) for seed in (1, 2)]
    other = replace(one_class_each, given_labels=one_class_each.labels.astype(np.int16))
    shuffled = other.take(np.random.default_rng(0).permutation(24))
    views = {"first": one_class_each, "second": shuffled}
    planned = lines(sets, views, TINY, counts=[2, 4, 8], draws=5, seeds=2)
    assert list(planned) == [At(view, n, way) for view in views for n in (2, 4, 8) for way in WAYS]
    seen: dict[Any, set[Any]] = {}
    people = {name: np.asarray(view.people) for name, view in views.items()}
    for at, line in planned.items():
        drawn = {}
        for k, cell in enumerate(line.cells):
            assert cell.seeds is not None
            for j, (protocol, seed) in enumerate(zip(cell.folds, cell.seeds, strict=True)):
                (fold,) = protocol.folds
                trained, tested = (set(people[at.view][part].tolist()) for part in (fold.train, fold.test))
                assert not trained & tested
                assert trained | tested == set(people[at.view].tolist())
                assert sorted([*fold.train, *fold.test]) == list(range(24))
                assert len(trained) == at.people
                drawn[j * len(line.cells) + k] = frozenset(trained), seed
        assert len(line.cells) == (1 if at.way == REAL else 2)
        assert sorted(drawn) == list(range(5))
        assert [drawn[i][1] for i in range(5)] == [0, 1, 0, 1, 0]
        seen.setdefault(at.people, set()).add(tuple(drawn[i] for i in range(5)))
    assert {count: len(draws) for count, draws in seen.items()} == {2: 1, 4: 1, 8: 1}  # of all views and ways
    for few, more in pairwise(seen[n].pop() for n in (2, 4, 8)):
        assert all(a[0] < b[0] for a, b in zip(few, more, strict=True))
    # more draws continue the same, and so their runs are found again
    fewer = lines(sets, views, TINY, counts=[4], draws=3, seeds=2)[At("first", 4, REAL)].cells[0].descriptions()
    assert fewer == planned[At("first", 4, REAL)].cells[0].descriptions()[:3]


def test_each_draw_finds_its_score(one_class_each: View, tmp_path: Path) -> None:
    """With several sets, whose cells share the draws; and each set alone is trained on once for each seed."""
    sets = [synthetic([0, 1, 2] * 3, seed, tmp_path) for seed in (1, 2)]
    planned = lines(sets, {"": one_class_each}, TINY, counts=[4], draws=3, seeds=1, models=tmp_path / "models")
    found, at, _ = run(planned, tmp_path / "store")
    runs = dict(zip(planned, found, strict=True))
    for way in WAYS:
        scores = [score.uf1 for score in runs[At("", 4, way)].scores()]
        assert at[At("", 4, way)].draws == (scores if way == REAL else [scores[0], scores[2], scores[1]])
    assert len(list((tmp_path / "models").glob("*.safetensors"))) == 2


def test_fine_tuning_may_have_a_recipe_of_its_own(one_class_each: View, tmp_path: Path) -> None:
    """It starts from what the set alone gave, and nothing else changes."""
    made, slow = synthetic([0, 1, 2], 1, tmp_path), TINY.but(learning_rate=1e-5)
    same, other = (
        lines([made], {"": one_class_each}, TINY, counts=[4], draws=2, seeds=1, tuning=tuning, models=tmp_path)
        for tuning in (None, slow)
    )
    differ = {at.way for at in same if same[at].cells[0].descriptions() != other[at].cells[0].descriptions()}
    assert differ == {"fine-tuned"}
    at = At("", 4, "fine-tuned")
    runs = [same[at], other[at], other[At("", 4, SYNTHETIC)]]
    found = Study(runs, Results(tmp_path / "store")).run()
    quick, slower, direct = (np.array(one.repeats[0][0].predictions["last"].to_pylist()) for one in found)
    assert np.abs(slower - direct).max() < np.abs(quick - direct).max() / 2  # the slower, the more of the set is left
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_who_is_resampled_brings_all_draws_along(one_class_each: View, tmp_path: Path) -> None:
    """A person who counts twice is as if there were a twin with the same clips and predictions in every draw."""
    from miex.evaluation.metrics import confusion, score
    from miex.evaluation.significance import mean_scores

    planned = lines([synthetic([0, 1, 1], 1, tmp_path)], {"": one_class_each}, TINY, counts=[4], draws=3, seeds=1)
    (found,) = Study([planned[At("", 4, REAL)]], Results(tmp_path / "store")).run()
    people = sorted(set(one_class_each.people))
    weights = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 6)
    weights[5] = 0
    weights[5, people.index(found.repeats[0][0].predictions["corpus"][0].as_py() + "/1")] = 12
    expected = []
    for weight in weights:
        times = dict(zip(people, weight.tolist(), strict=True))
        scores = []
        for (run,) in found.repeats:
            subjects = run.predictions["subject"].to_pylist()
            n = [times[f"casme2/{int(one[3:])}"] for one in subjects]
            truth, said = (np.repeat(one, n) for one in (run.predictions["label"].to_numpy(), run.predicted()))
            if len(truth):
                scores.append(score(confusion(truth, said, 3)).uf1)
        expected.append(np.mean(scores) if scores else np.nan)
    assert mean_scores(found.subject_counts(people=people), weights).tolist() == pytest.approx(expected, nan_ok=True)


def test_views_have_the_same_people(one_class_each: View, tmp_path: Path) -> None:
    fewer = one_class_each.take(np.arange(20))
    with pytest.raises(InputError, match=r"2 who are in one"):
        lines([], {"a": one_class_each, "b": fewer}, TINY, counts=[2])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flow files of a set, of eight people in two views, and of others."""
    folder = tmp_path_factory.mktemp("files")
    labels, people = [0, 1, 2] * 8, [i // 3 for i in range(24)]
    flow_file(folder / "set.npz", [0, 1, 2] * 10, seed=1)
    flow_file(folder / "first.npz", labels, people, seed=2)
    flow_file(folder / "second.npz", labels, people, seed=3)
    flow_file(folder / "others.npz", labels, [i + 1 for i in people], seed=4)
    (folder / "quick.toml").write_text('like = "fixed"\nsamples_seen = 64\nbatch = 32\n')
    return folder


def test_command(files: Path, tmp_path: Path) -> None:
    """As typed: an estimate, both views, every form of the tables; in another order the same runs."""
    store, out = tmp_path / "store", tmp_path / "out"
    typed = ["experiment", "worth", files / "set.npz", "--real", f"first={files / 'first.npz'}", "--real"]
    typed += [f"second={files / 'second.npz'}", "--recipe", files / "quick.toml", "--draws", 2, "--seeds", 1]
    left = facts(*typed, "--store", store, "--only-estimate")
    assert (left["points"], left["estimate"]["total"], left["estimate"]["shared"]) == ([], 2 * 2 * 2 * 4, 1)
    assert left["counts"] == [2, 4]  # of eight people
    assert not list(store.glob("*.parquet"))
    done = command(*typed, "--store", store, "--out", out)
    assert done.returncode == 0, done.stderr
    for words in ("32 runs", "about", "written"):
        assert words in done.stderr
    for words in ("What the set is worth, in real people", "both together", "UF1 above that of the same real people"):
        assert words in done.stdout
    parts = ("", "-differences", "-people")
    assert {path.name for path in out.iterdir()} == {
        *(f"worth{part}.{kind}" for part in parts for kind in ("md", "tex", "csv")), "worth.json", "worth.png",
    }  # fmt: skip
    stored = json.loads((out / "worth.json").read_text())
    assert {(p["view"], p["people"], p["way"]) for p in stored["points"]} == {
        (view, n, way) for view in ("first", "second") for n in (2, 4) for way in WAYS
    }
    assert [one["view"] for one in stored["worth"]] == ["first", "second"]
    again = miex.worth(
        files / "set.npz", {name: files / f"{name}.npz" for name in ("first", "second")}, draws=2, seeds=1,
        recipe=str(files / "quick.toml"), store=tmp_path / "python", workers=LastFirst(),
    )  # fmt: skip
    assert again.plain() == stored
    part = replace(again, facts={**again.facts, "where": "AU12 > 0.1"})
    drawn = part.chart()
    assert drawn is not None
    for said in (drawn.title, *map(str, part.tables().values())):
        assert "; only samples where AU12 > 0.1" in said
    kept = {path.name: path.read_bytes() for path in store.glob("*.parquet")}
    assert kept == {path.name: path.read_bytes() for path in (tmp_path / "python").glob("*.parquet")}
    lost = sorted(store.glob("*.parquet"))[::5]
    for path in lost:
        path.unlink()
    assert facts(*typed, "--store", store, "--only-estimate")["estimate"]["stored"] == 32 - len(lost)
    assert facts(*typed, "--store", store) == stored
    assert kept == {path.name: path.read_bytes() for path in store.glob("*.parquet")}


def test_what_cannot_be_measured_is_refused(files: Path, tmp_path: Path) -> None:
    first, recipe = files / "first.npz", ["--recipe", files / "quick.toml", "--store", tmp_path, "--seeds", 1]
    typed = ["experiment", "worth", files / "set.npz", *recipe]
    for given, code, said in (
        (["--real", first, "--counts", "2,8"], 2, "--counts 2, 8\n  expected: numbers of people that leave others"),
        (["--real", first, "--counts", "2;4"], 2, "separated by commas"),
        (["--real", first, "--real", f"b={first}"], 2, "a name for every view"),
        (["--real", f"a={first}", "--real", f"b={files / 'others.npz'}"], 3, "the people of a"),
        (["--real", first, "--real", first], 2, "each sample once"),
        ([files / "set.npz", "--real", first], 2, "2 sets\n  expected: each once"),
        ([files / "set.npz", "--real", first, "--draws", 1], 2, "2 sets with --draws 1\n  expected: no more sets than"),
    ):
        done = command(*typed, *given)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    with pytest.raises(UsageError, match=r"`real` \{\}"):
        miex.worth(files / "set.npz", {})


def test_the_leak_guard_stays_on(files: Path, tmp_path: Path) -> None:
    """Of a set whose AUs come from people who are tested, what is theirs is left out; of unknown origin is nothing."""
    with np.load(files / "set.npz") as arrays:
        own = dict(arrays)
    n = len(own["label"])
    own |= {"source": np.array(["real_mie"] * n), "corpus": np.array(["casme2"] * n)}
    own["subject"] = np.array([f"sub{i % 8 + 1:02d}" for i in range(n)])
    np.savez(tmp_path / "real-aus.npz", **own)
    quick: Recipe = TINY.but(samples_seen=32)
    found = miex.worth(
        tmp_path / "real-aus.npz", files / "first.npz", counts=[4], draws=1, seeds=1, recipe=quick, store=tmp_path
    )
    refused = {point.at.way: point.refused for point in found.points}
    assert refused[REAL] == 0
    assert all(14 <= refused[way] <= 16 for way in refused if way != REAL)  # of 30, half of the people
    np.savez(tmp_path / "unknown.npz", flow=own["flow"], label=own["label"])
    options: dict[str, Any] = {"counts": [4], "draws": 1, "seeds": 1, "recipe": quick, "store": tmp_path}
    with pytest.raises(InputError, match="leak guard"):
        miex.worth(tmp_path / "unknown.npz", files / "first.npz", **options)
    taken = miex.worth(tmp_path / "unknown.npz", files / "first.npz", accept_unknown=True, **options)
    assert {point.unchecked for point in taken.points if point.at.way != REAL} == {n}
