"""The tables and figures of the paper: what is declared, what is printed beside it, and a dry run of each."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

import miex  # noqa: E402
from miex.api.ingredients import Ingredients  # noqa: E402
from miex.api.paper import DRY  # noqa: E402
from miex.commands.paper import PAPER  # noqa: E402
from miex.errors import UsageError  # noqa: E402
from miex.evaluation.evaluate import Evaluation  # noqa: E402
from miex.evaluation.metrics import confusion, score  # noqa: E402
from miex.evaluation.results import PREDICTIONS, StoredRun  # noqa: E402
from miex.evaluation.significance import holm, paired  # noqa: E402
from miex.experiments.paper.declared import (  # noqa: E402
    COMPMIE,
    EXPERIMENTS,
    MIE_X,
    MIE_X_EMOTIONS,
    MIE_X_FRONTAL,
    Experiment,
    Made,
    Part,
    Row,
)
from miex.experiments.paper.lines import StandIn, chosen  # noqa: E402
from miex.experiments.paper.printed import printed  # noqa: E402
from miex.experiments.paper.shown import Found, Shown  # noqa: E402
from miex.experiments.present import Value  # noqa: E402
from miex.faces.photos import list_photos, photos_root, write_list  # noqa: E402
from miex.recognition.inputs.base import make_input  # noqa: E402
from tests.support import command, photo_folder  # noqa: E402


def test_sizes_are_those_of_the_paper() -> None:
    assert (MIE_X.size, MIE_X_EMOTIONS.size) == (45_000, 90_000)
    parts = {(row.panel, row.name): row.other for row in EXPERIMENTS["fig6"].rows}
    made = {key: part.of for key, part in parts.items() if isinstance(part, Part)}
    assert {of.size for (panel, _), of in made.items() if panel != "samples"} == {30_000}
    assert {of.ids for (panel, _), of in made.items() if panel == "AU triplets"} == {5000}
    assert {of.triplets for (panel, _), of in made.items() if panel == "identities"} == {30_000}
    assert {(of.ids, of.triplets, of.size) for (panel, _), of in made.items() if panel == "samples"} == {
        (1000, 9000, 54_000)
    }
    assert [len(EXPERIMENTS[name].rows) for name in ("table1", "table3", "fig5", "fig6", "fig7")] == [20, 2, 9, 12, 6]


def test_a_name_stands_for_one_set() -> None:
    """Tables share sets by their names."""
    sets: dict[str, set[Made]] = {}
    for experiment in EXPERIMENTS.values():
        for row in experiment.rows:
            for made in row.sets:
                sets.setdefault(made.name, set()).add(made)
    assert all(len(of) == 1 for of in sets.values())


def test_every_printed_number_stands_beside_a_line() -> None:
    """And none beside two, but for the two readings of CASME and of SAMM."""
    for name, experiment in EXPERIMENTS.items():
        shown = Shown(experiment, "", ())
        beside = Counter(id(known) for row in experiment.rows if (known := shown._known(row)))
        twice = {"table2": {"SAMM": 2}}.get(name, {})
        assert all(beside[id(one)] == twice.get(one.tested, 1) for one in printed(name)), name
    assert all(0.3 < (value.value or 0) < 0.8 for name in EXPERIMENTS for one in printed(name)
               for value in one.values.values())  # fmt: skip


def test_commands_are_the_experiments() -> None:
    assert list(PAPER) == list(EXPERIMENTS)


def test_a_stand_in_is_like_the_set(dry: Path) -> None:
    """As many rows of every source, class, person and round as the set that is made later."""
    miex.paper("fig6", dry_run=True, work=dry, cells=1, workers=1)
    for of in (Made("samples-54000", ids=2, samples=40, triplets=9), Made("mie-x", ids=2)):
        at = dry / "like" / of.name
        how: dict[str, Any] = {"samples": of.samples, "triplets": of.triplets} if of.samples else {}
        made = miex.synthesize(at, ids=of.ids, size=32, nuisances="off", sources=_sources(dry), **how)
        for part in (Part(of), Part(of, sources=("expert",)), Part(of, rounds=1)):
            rows = [made.table, StandIn(of, 3, make_input({"name": "apex", "side": 32}), [("casme2", "1")]).rows]
            kinds = [
                Counter(zip(*(table.take(chosen(part, table))[name].to_pylist() for name in ("source", "label")),
                            strict=True)) for table in rows
            ]  # fmt: skip
            assert kinds[0] == kinds[1]


def _sources(dry: Path) -> list[Any]:
    stock = Ingredients({}, None, None, None, dry / "dry-run", dry=True)
    return stock._sources(MIE_X)


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A folder of work that all dry runs share."""
    return tmp_path_factory.mktemp("paper")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_one_cell_of_a_dry_run(name: str, dry: Path, tmp_path: Path) -> None:
    found = miex.paper(name, dry_run=True, work=dry, cells=1, workers=1)
    files = found.save(tmp_path)
    assert files
    assert all(file.name.startswith(f"{name}-dry-run") for file in files)
    facts = json.loads((tmp_path / f"{name}-dry-run.json").read_text())
    assert facts["dry_run"] is True
    assert facts["title"].startswith(DRY)
    for table in found.tables().values():
        assert table.title.startswith(DRY)
        prove_latex(table.latex())
        assert {row["dry run"] for row in csv.DictReader(table.csv().splitlines())} == {"yes"}
    chart = found.chart()
    assert (chart is not None) == (name.startswith("fig"))
    if chart is not None:
        assert chart.title.startswith(DRY)
        assert "std" not in chart.title  # of one repeat
    if name == "fig4":  # fakes do not pass for frames of corpora
        assert found.picture is not None
        captions = {caption for images in found.picture.rows.values() for _, caption in images}
        assert {caption for caption in captions if "," in caption} == {"fake, casme2", "fake, smic"}
    else:
        assert len(facts["lines"]) == 1
    if name == "table1":  # nothing is computed twice
        again = miex.paper(name, dry_run=True, work=dry, cells=1, workers=1)
        assert again.shown is not None
        assert [one.runs.computed for one in again.shown.lines] == [0]


def test_the_aus_of_given_corpora_are_extracted(dry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only fakes of our own say in a file how they move."""

    class Extracted(Exception):
        pass

    def extract(self: object, **how: object) -> None:
        raise Extracted

    made = Ingredients({}, None, None, None, dry / "dry-run", dry=True)
    made.clips("compmie")
    given = {name: shutil.copytree(made._folder(name), tmp_path / name) for name in ("casme2", "samm", "smic")}
    for folder in given.values():
        (folder / "fake.json").unlink()
    monkeypatch.setattr(miex.corpora.Clips, "extract", extract)
    with pytest.raises(Extracted):
        Ingredients(given, None, None, None, tmp_path / "work", dry=True)._pool("real_mie")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"corpora": {"mmev": "x"}}, "`corpus` 'mmev'"),
        ({"lists": {"compmie": "loso"}}, "`lists` compmie=loso"),
        ({"lists": {"compmi": "x"}}, "compmi"),
    ],
)  # fmt: skip
def test_what_no_table_takes_is_refused_at_once(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        miex.paper("table1", dry_run=True, work=tmp_path / "work", **options)
    assert not (tmp_path / "work").exists()


def test_nothing_is_written_beside_the_photos(tmp_path: Path, model: Path) -> None:
    """The list of frontal faces lies beside the set that is made of them; a list of photos will do, too."""
    photos = photo_folder(tmp_path / "photos", 3)
    before = sorted(photos.iterdir())
    made = MIE_X_FRONTAL.at(1 / 2500)
    for given in (photos, tmp_path / "list.txt"):
        if given != photos:
            write_list(["0.png", "1.png", "2.png"], photos, given)
        stock = Ingredients({}, given, None, None, tmp_path / "work", 1 / 2500)
        listed = stock._photos(made)
        assert listed.parent == tmp_path / "work" / "sets"
        assert len(list_photos(listed)) == 2
        assert photos_root(listed) == photos.resolve()
    assert sorted(photos.iterdir()) == before


def test_a_corpus_given_twice_is_refused() -> None:
    done = command("experiment", "table1", "--corpus", "casme2=a", "--corpus", "casme2=b")
    assert done.returncode == 2
    assert "each name once" in done.stderr


def test_every_table_is_whole_latex() -> None:
    """Of every experiment with all its lines, scores, printed numbers and stars."""
    rng = np.random.default_rng(0)
    for experiment in EXPERIMENTS.values():
        lines = []
        for row in experiment.rows:
            truth = rng.integers(0, 3, (2, 3, 30))
            runs = [[_run(truth[r, f], rng.permutation(truth[r, f])) for f in range(3)] for r in range(2)]
            lines.append(Found(row, "3-fold", 442, Evaluation(row.name, "3-fold", 3, runs)))
        shown = Shown(experiment, "50 % of a_b & c #1", lines)
        for table in (shown.table(), shown.differences()) if lines else ():
            if table is not None:
                prove_latex(table.latex())
                parts = table.shown._without_common()._parts()
                assert max(sum(part._widths[part._titled :]) for part in parts) <= 120, experiment.name


def prove_latex(text: str) -> None:
    """What a compiler would refuse: open environments, braces or formulas, rows of other lengths, bare letters."""
    open_: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if what == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert not open_
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(tables) == text.count(r"\begin{tabular}") > 0
    rows: list[str] = []
    for kinds, body in tables:
        own = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(own) > 1
        for row in own:
            columns = int(found[1]) if (found := re.match(r"\\multicolumn\{(\d+)\}\{l\}\{", row)) else 1
            assert len(re.findall(r"(?<!\\)&", row)) + columns == len(kinds), row
        rows += own
    assert all(len(re.findall(r"(?<!\\)\$", line)) % 2 == 0 for line in text.splitlines())
    outside = re.sub(r"(?<!\\)\$[^$]*(?<!\\)\$", "", text.replace("{%\n", "{\n"))
    assert not re.findall(r"(?<!\\)[%#_^~]", outside)
    assert text.isascii() or not set(re.findall(r"[^\x00-\x7f]", text)) - set("éü’")  # what inputenc has no letter for
    assert not any(re.findall(r"(?<!\\)&", line) for line in text.splitlines() if line not in rows)


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    """With the option that gives it, and no advice that would not help."""
    with pytest.raises(UsageError) as caught:
        miex.paper("table1", corpora={"casme2": tmp_path, "samm": tmp_path}, work=tmp_path)
    for lack in ("corpus smic", "corpus ckplus", "corpus mmew", "corpus casme", "photos of faces (`faces` FOLDER)"):
        assert lack in str(caught.value), lack
    assert "`missing`" not in str(caught.value)  # nothing would be left
    assert "real_mie" not in str(caught.value)  # the clips are asked for already
    parts = dict.fromkeys(("casme2", "samm", "smic"), tmp_path)
    with pytest.raises(UsageError, match="leave these lines out: `missing` skip"):
        miex.paper("fig5", corpora=parts, work=tmp_path)
    with pytest.raises(UsageError, match="table3") as caught:  # nothing is left
        miex.paper("table3", missing="skip", work=tmp_path)
    assert "leave these lines out" not in str(caught.value)


@pytest.mark.parametrize("how", [{}, {"only_estimate": True}, {"missing": "skip"}])
def test_figure_4_says_what_it_needs(how: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        miex.paper("fig4", corpora={"casme2": tmp_path, "samm": tmp_path}, work=tmp_path, **how)
    assert str(caught.value).splitlines() == [
        "experiment fig4",
        "  expected: all that it needs",
        "  found: without:",
        "    corpus smic (`corpus` smic=PATH)",
        "    photos of faces (`faces` FOLDER)",
        "    an AU pool of CK+ (`early_mae` POOL), as miex aus pool makes it, or the clips (`corpus` ckplus=PATH)",
        "  what to do: give them; to see it run on fakes: `dry_run`",
    ]


def test_out_is_proven_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    place = tmp_path / "notes.txt" / "tables"
    done = command("experiment", "table3", "--dry-run", "--work", tmp_path / "work", "--out", place)
    assert done.returncode == 5
    assert f"--out {tmp_path}" in done.stderr
    assert "notes.txt" in done.stderr
    assert not (tmp_path / "work").exists()


def _run(truth: np.ndarray, predicted: np.ndarray) -> StoredRun:
    columns = {
        "sample_id": [str(i) for i in range(len(truth))], "corpus": ["casme2"] * len(truth),
        "subject": ["1"] * len(truth), "label": truth.tolist(), "last": np.eye(3, dtype=np.float32)[predicted].tolist(),
        "best_on_test": np.eye(3, dtype=np.float32)[truth].tolist(),
    }  # fmt: skip
    return StoredRun({}, {"refused": 4}, pa.table(columns, schema=PREDICTIONS))


def test_ours_stand_beside_the_papers() -> None:
    rng, rows = np.random.default_rng(0), EXPERIMENTS["fig5"].rows[:2]
    experiment = Experiment("fig5", "", rows, pairs=(("", rows[0].name, rows[1].name),), chart="bars")
    lines, folds = [], []
    for row in rows:
        truth = rng.integers(0, 3, (2, 3, 40))
        predicted = np.where(rng.random(truth.shape) < 0.5, truth, rng.integers(0, 3, truth.shape))
        runs = [[_run(truth[r, f], predicted[r, f]) for f in range(3)] for r in range(2)]
        lines.append(Found(row, "3-fold", 442, Evaluation(row.name, "3-fold", 3, runs)))
        folds.append([[score(confusion(truth[r, f], predicted[r, f], 3)).uf1 for f in range(3)] for r in range(2)])
        whole = [score(confusion(truth[r].ravel(), predicted[r].ravel(), 3)).uf1 for r in range(2)]
        assert lines[-1].pooled("uf1").value == pytest.approx(100 * np.mean(whole))
    shown = Shown(experiment, "title", lines)
    table = shown.table()
    at = {name: i for i, name in enumerate(table.columns)}
    first = table.rows[0]
    means = 100 * np.mean(folds[0], axis=1)
    ours = first[at["UF1 fold mean"]]
    assert isinstance(ours, Value)
    assert (ours.value, ours.std) == (pytest.approx(means.mean()), pytest.approx(means.std()))
    assert str(first[at["UF1 printed"]]) == "43.6 ± 0.5"
    assert str(first[at["UF1 best_on_test"]]) == "100.0 ± 0.0"
    assert first[at["refused"]] == 4
    differences = shown.differences()
    assert differences is not None
    (a, b, value) = shown.compared["uf1", "", "3-fold"][0]
    assert (a, b) == (rows[0].name, rows[1].name)
    test = paired(np.ravel(folds[0]), np.ravel(folds[1]), test_share=0.5)
    assert value.value == pytest.approx(100 * test.difference)
    assert value.p == pytest.approx(holm([test.p]))


def test_folds_of_one_subject_have_no_mean_over_folds() -> None:
    row = Row("CompMiE", COMPMIE, "branches", "real")
    truth = np.arange(9) % 3
    line = Found(row, "loso", 442, Evaluation("", "LOSO", 3, [[_run(truth, truth)] * 3]))
    table = Shown(EXPERIMENTS["fig5"], "", [line]).table()
    at = {name: i for i, name in enumerate(table.columns)}
    assert table.rows[0][at["UF1 fold mean"]] == "–"
    assert str(table.rows[0][at["UF1 pooled"]]) == "100.0"


@pytest.mark.parametrize("option", [{"side": 64}, {"epochs": 3}, {"start": "imagenet"}])
def test_a_picture_of_frames_takes_no_option_of_training(tmp_path: Path, option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(UsageError, match=f"`{name}`(.|\n)*none with fig4"):
        miex.paper("fig4", dry_run=True, work=tmp_path, **option)
    with pytest.raises(UsageError, match=r"`folds` loso(.|\n)*none with fig4"):
        miex.paper("fig4", dry_run=True, work=tmp_path, folds=("loso",))
    assert not list(tmp_path.iterdir())
