"""The experiment on maps made here, and, where the lent maps are, its references."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError  # noqa: E402
from miex.experiments.modes import Mode  # noqa: E402
from miex.experiments.realflow import SPLIT, VIEWS, choose, read_real, realflow  # noqa: E402
from miex.experiments.references import sign_rule, toy_examples  # noqa: E402
from miex.labels import Label  # noqa: E402
from miex.recognition.flow_file import read_flow  # noqa: E402
from miex.recognition.inputs.flow import FlowMaps  # noqa: E402
from miex.recognition.recipe import load_recipe  # noqa: E402
from tests.support import command, facts  # noqa: E402

LENT = Path(__file__).parents[3] / "shared" / "real-flow"
FLOW, SECOND = VIEWS.values()
DIRECT: tuple[Mode, ...] = ("direct",)
QUICK = load_recipe("fixed").but(samples_seen=640, batch=32)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bumps in the place of the lent maps: 12 subjects of two corpora, two halves, two views of the same clips."""
    folder = tmp_path_factory.mktemp("stand-in")
    toy = toy_examples(20, seed=7)
    maps = toy.array(FlowMaps())
    corpus = ["casme2" if i % 2 else "smic" for i in range(60)]
    subject = [f"s{i % 12 + 1:02d}" for i in range(60)]
    for name, flow in ((FLOW, maps), (SECOND, np.roll(maps, 5, axis=1))):
        clips = [f"c{i}" for i in range(60)]
        np.savez(folder / name, flow=flow, label=toy.labels, dataset=corpus, subject=subject, clip=clips)
    people = sorted(set(zip(corpus, subject, strict=True)))
    lines = [f"{c},{s},{'choose' if i % 2 else 'report'}" for i, (c, s) in enumerate(people)]
    (folder / SPLIT).write_text("\n".join(["dataset,subject,half", *lines]) + "\n")
    return folder


def test_bumps_are_where_the_classes_move(tmp_path: Path) -> None:
    toy = toy_examples(50)
    v = toy.array(FlowMaps())[..., 1].astype(float)
    v -= np.median(v, (1, 2), keepdims=True)
    brows, corners = v[:, 2:8, 5:23].mean((1, 2)), v[:, 16:21, [5, 6, 7, 8, 19, 20, 21, 22]].mean((1, 2))
    mean = {label: (brows[toy.labels == label].mean(), corners[toy.labels == label].mean()) for label in Label}
    assert mean[Label.negative][0] > 5
    assert mean[Label.surprise][0] < -5
    assert mean[Label.positive][1] < -5
    assert toy_examples(50).digest == toy.digest
    assert (sign_rule(toy.through(FlowMaps(), tmp_path)) == toy.labels).mean() > 0.8


def test_the_whole_table(stand_in: Path, tmp_path: Path) -> None:
    real = read_real(stand_in)
    sets = {"toy": [toy_examples(100, seed) for seed in (1, 2)]}
    rows = realflow(sets, real, tmp_path, recipe=QUICK, seeds=1)
    rows += realflow(sets, real, tmp_path, recipe=QUICK, seeds=1, protocols=("loso",), modes=DIRECT, references=False)
    found = {(row.name, row.protocol, row.view): row for row in rows}
    lines = {
        ("sign rule, no training", "–"), ("3,000 bumps, direct", "3-fold"), ("shuffled labels, direct", "3-fold"),
        ("real maps of the other corpus", "loco"), ("real maps of the other view", "3-fold"), ("real only", "3-fold"),
        ("toy, direct", "loso"), *((f"toy, {mode}", "3-fold") for mode in ("direct", "fine-tune", "joint")),
    }  # fmt: skip
    assert set(found) == {(*line, view) for line in lines for view in VIEWS}
    assert len(rows) == len(found)
    direct, noise = found["toy, direct", "3-fold", "first"], found["shuffled labels, direct", "3-fold", "first"]
    assert direct.runs == 2  # training seeds × sets
    assert direct.parts["all"].uf1 > 0.8
    assert noise.parts["all"].uf1 < 0.6
    assert {name: part.n for name, part in direct.parts.items()} == {
        "all": 60, "choose": 30, "report": 30, "casme2": 30, "smic": 30
    }  # fmt: skip
    # without training on folds it is the same recognizer whatever the folds
    assert direct.parts["all"] == found["toy, direct", "loso", "first"].parts["all"]
    assert direct.interval.low <= direct.parts["all"].uf1 <= direct.interval.high
    assert direct.confusion.sum() == 2 * 60
    assert (direct.refused, direct.unchecked) == (0, 0)
    other = found["real maps of the other view", "3-fold", "second"]
    assert other.refused == 20  # the maps of whom the fold tests: a third
    assert other.against is None
    assert direct.against is not None
    assert direct.paired_p is not None
    assert np.shape(direct.fold_uf1) == (2, 3)
    assert found["toy, joint", "3-fold", "first"].parts["all"].uf1 > 0.7
    # another view of the same clips is another test
    assert found["toy, direct", "3-fold", "second"].parts["all"] != direct.parts["all"]
    json.dumps([row.plain() for row in rows], allow_nan=False)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    again = realflow(sets, real, tmp_path, recipe=QUICK, seeds=1)
    assert [row.plain() for row in again] == [row.plain() for row in rows[:-2]]
    assert {path: path.read_bytes() for path in tmp_path.glob("*.parquet")} == before
    # lent maps leave nothing behind but predictions: kept are the bumps, the toys and their shuffles
    assert len(list((tmp_path / "models").glob("*.safetensors"))) == 1 + 2 + 9


def test_with_one_view_the_table_has_one(stand_in: Path, tmp_path: Path) -> None:
    (tmp_path / "lent").mkdir()
    for name in (FLOW, SPLIT):
        (tmp_path / "lent" / name).write_bytes((stand_in / name).read_bytes())
    rows = realflow({}, read_real(tmp_path / "lent"), tmp_path, recipe=QUICK.but(samples_seen=64), seeds=1, modes=())
    assert {row.view for row in rows} == {"first"}
    assert "real maps of the other view" not in {row.name for row in rows}
    with np.load(stand_in / SECOND) as arrays:
        np.savez(tmp_path / "lent" / SECOND, **{name: array[::-1] for name, array in arrays.items()})
    with pytest.raises(InputError, match="in its order"):
        read_real(tmp_path / "lent")


def test_sets_are_guarded_against_as_everywhere(stand_in: Path, tmp_path: Path) -> None:
    """The tested maps under no name, and faces of those who are tested."""
    real = read_real(stand_in)[:1]
    hidden = toy_examples(20, seed=7)
    rows = hidden.rows.set_column(2, "source", pa.nulls(60, pa.string()))
    assert rows.schema.names[2] == "source"
    with pytest.raises(InputError, match=r"40 \(it is not known"):
        realflow({"x": [replace(hidden, rows=rows)]}, real, tmp_path, modes=DIRECT, recipe=QUICK, references=False)
    shown = hidden.rows.to_pydict() | {"photo": [f"{i % 12}" for i in range(60)]}
    faces = {f"{i}": ("casme2", f"{i + 1}") for i in range(1, 12, 2)}
    sets = {"x": [replace(toy_examples(20, seed=8), rows=pa.table(shown, schema=hidden.rows.schema))]}
    options = {"modes": DIRECT, "recipe": QUICK, "references": False, "seeds": 1}
    assert realflow(sets, real, tmp_path, **options)[0].refused == 0  # type: ignore[arg-type]
    assert realflow(sets, real, tmp_path, faces=faces, **options)[0].refused > 0  # type: ignore[arg-type]


def test_a_rerun_from_nothing_gives_the_same_predictions(stand_in: Path, tmp_path: Path) -> None:
    real, sets = read_real(stand_in), {"toy": [toy_examples(30)]}
    for side in "ab":
        realflow(sets, real, tmp_path / side, recipe=QUICK.but(samples_seen=128), seeds=1, references=False)
    a, b = ({path.name: path.read_bytes() for path in (tmp_path / side).glob("*.parquet")} for side in "ab")
    assert len(a) == 24
    assert a == b


def test_alternatives_are_chosen_on_one_half(stand_in: Path, tmp_path: Path) -> None:
    real, sets = read_real(stand_in), {"toy": [toy_examples(60)]}
    short = QUICK.but(samples_seen=64)
    recipes = [
        replace_name(short, "short"),
        replace_name(QUICK, "longer"),
        replace_name(QUICK.but(side=56, shift=2), "56"),
    ]
    found = choose(
        recipes,
        lambda one: realflow(sets, real, tmp_path, modes=("direct",), recipe=one, seeds=1, references=False),
    )
    assert list(found.choose) == ["short", "longer", "56"]
    assert found.choose[found.best] == max(found.choose.values())
    assert found.best != "short"
    assert np.mean([row.parts["choose"].uf1 for row in found.report]) == found.choose[found.best]
    assert [row.view for row in found.report] == list(VIEWS)


def replace_name(recipe, name):  # type: ignore[no-untyped-def]
    return recipe.model_copy(update={"name": name})


def test_maps_that_are_not_there_are_asked_for(stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lent for evaluation"):
        read_real(tmp_path)
    for name in (FLOW, SPLIT):
        (tmp_path / name).write_bytes((stand_in / name).read_bytes())
    (tmp_path / SPLIT).write_text("dataset,subject,half\n")
    with pytest.raises(InputError, match="every subject"):
        read_real(tmp_path)


def test_commands(stand_in: Path, finished: Path, tmp_path: Path) -> None:
    """train → evaluate → predict → experiment, as typed; refusals and what they say."""
    recipe = tmp_path / "quick.toml"
    recipe.write_text('like = "fixed"\nsamples_seen = 128\nbatch = 64\n')
    data, out, store = stand_in / FLOW, tmp_path / "model", tmp_path / "results"
    made = facts("train", finished, "--recipe", recipe, "--out", out)
    assert (made["samples"], made["parameters"]) == (36, 1683)
    model = out / "recognizer.safetensors"
    assert {path.name for path in out.iterdir()} == {"recognizer.safetensors", "log.csv", "events", "training.json"}
    tested = facts("evaluate", data, "--model", model, "--out", tmp_path / "tested")
    assert "evaluation-confusion.md" in {path.name for path in (tmp_path / "tested").iterdir()}
    assert tested["n"] == 60
    tuned = facts("train", data, "--recipe", recipe, "--start", out, "--out", tmp_path / "tuned")
    assert tuned["samples"] == 60
    refused = command("evaluate", data, "--model", tmp_path / "tuned" / "recognizer.safetensors")
    assert refused.returncode == 3
    assert "test set" in refused.stderr
    options = ["--recipe", recipe, "--store", store, "--repeats", 2, "--workers", 1]
    first = facts("evaluate", data, *options, "--best-on-test")
    assert first["computed"] == 6
    assert {"last", "best_on_test"} <= first.keys()
    assert facts("evaluate", data, *options, "--best-on-test")["computed"] == 0
    table = command("evaluate", data, *options, "--mode", "direct", "--extra", finished)
    assert table.returncode == 0, table.stderr
    for word in ("pooled", "fold mean", "casme2", "confusion", "Leak guard, at most in a run: 0 training rows refused"):
        assert word in table.stdout
    unknown = tmp_path / "unknown.npz"
    with np.load(data) as arrays:
        np.savez(unknown, flow=arrays["flow"], label=arrays["label"])
        mine = tmp_path / "mine.npz"
        np.savez(mine, flow=arrays["flow"], label=arrays["label"], source=np.array(["expert"] * 60))
    guarded = command("evaluate", data, *options, "--mode", "direct", "--extra", unknown)
    assert guarded.returncode == 3
    assert "leak guard" in guarded.stderr
    said = facts("predict", data, "--recognizer", out)["predictions"]  # the folder stands for the recognizer in it
    assert len(said) == 60
    assert said[0].keys() == {"sample", "class", "probabilities", "onset", "apex", "offset"}
    assert command("predict", tmp_path, "--recognizer", model).returncode == 2
    experiment = ["experiment", "realflow", f"mine={mine}", "--real", stand_in, "--store", store, "--workers", 1]
    experiment += ["--recipe", recipe, "--seeds", 1]
    found = facts(*experiment, "--modes", "direct,real")["rows"]
    row = next(row for row in found if row["name"] == "mine, direct")
    assert (row["unchecked"], row["refused"]) == (0, 20)  # a fold's own maps are not trained on, whoever they are of
    shown = command(*experiment, "--modes", "direct,real")
    assert "sign rule, no training" in shown.stdout
    assert "are in the store" in shown.stderr
    left = facts(*experiment, "--modes", "fine-tune", "--only-estimate", "--out", tmp_path / "table")
    assert left["rows"] == []
    assert left["estimate"]["total"] - left["estimate"]["stored"] == 2 * 3
    assert left["estimate"]["seconds"] > 0
    facts(*experiment, "--modes", "direct,real", "--out", tmp_path / "table")
    assert {path.name for path in (tmp_path / "table").iterdir()} == {
        f"realflow.{kind}" for kind in ("md", "tex", "csv", "json", "png")
    }
    other = tmp_path / "svm.toml"
    other.write_text('like = "fixed"\nrecognizer = "hoof"\n')
    tried = command(*experiment, "--modes", "direct", "--alternatives", f"{recipe},{other}")
    assert tried.returncode == 0, tried.stderr
    assert "chosen among 2" in tried.stdout
    (tmp_path / "again").mkdir()
    twin = tmp_path / "again" / recipe.name
    twin.write_text(recipe.read_text())
    twice = command(*experiment, "--modes", "direct", "--alternatives", f"{recipe},{twin}")
    assert (twice.returncode, "different names" in twice.stderr) == (2, True)
    mixed = command("experiment", "realflow", unknown, f"unknown={unknown}", "--real", stand_in, "--store", store)
    assert (mixed.returncode, "name both settings" in mixed.stderr) == (2, True)
    nothing = command("experiment", "realflow", "--real", stand_in, "--modes", "direct", "--no-references")
    assert (nothing.returncode, "nothing to train on" in nothing.stderr) == (2, True)


def test_evaluate_takes_every_kind_of_folds(stand_in: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "quick.toml"
    recipe.write_text('like = "fixed"\nrecognizer = "hoof"\n')
    data = stand_in / FLOW
    rows = read_flow(data).rows.to_pylist()
    lists = tmp_path / "lists"
    lists.mkdir()
    for fold in "01":  # the authors' layout: odd subjects, even subjects
        for part, sign in (("test", True), ("train", False)):
            chosen = [row for row in rows if (int(row["subject"][1:]) % 2 == int(fold)) == sign]
            names = [
                f"Data/{row['corpus'].upper()}_cropped/{row['subject']}/x/{row['sample_id'].split('/')[2]}"
                for row in chosen
            ]
            (lists / f"x_fold{fold}_{part}_data.txt").write_text("".join(f"{n}/1.jpg\n{n}/2.jpg\n" for n in names))
    table = tmp_path / "mine.csv"
    lines = [f"{row['sample_id']},{int(row['subject'][1:]) % 4}" for row in rows]
    table.write_text("\n".join(["sample_id,fold", *lines]) + "\n")
    options = ["--recipe", recipe, "--store", tmp_path / "store", "--repeats", 1, "--workers", 1]
    for protocol, runs in (("5-fold", 5), ("cde", 12), (lists, 2), (table, 4)):
        found = facts("evaluate", data, "--protocol", protocol, *options)
        assert found["computed"] == runs
        assert found["last"]["pooled"][0]["n"] == 60
        assert found["last"]["pooled"][0]["uf1"] > 0.6
        assert found["last"]["corpora"].keys() == {"casme2", "smic"}
    assert command("evaluate", data, "--protocol", "7", *options).returncode == 2
    assert command("evaluate", data, "--mode", "sideways", *options).returncode == 2
    assert command("evaluate", data, "--mode", "direct", *options).returncode == 2  # on what?


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("miex.api.examples.find_spec", lambda name: None)
    done = command("train", tmp_path, "--out", tmp_path)
    assert done.returncode == 2
    assert "miex[train]" in done.stderr


def test_predict_a_clip_of_your_own(finished: Path, tmp_path: Path) -> None:
    """Frames of a set, as files: what the recognizer says of them as a clip."""
    import cv2

    import miex.dataset

    recipe = tmp_path / "quick.toml"
    recipe.write_text('like = "fixed"\nsamples_seen = 1280\nbatch = 64\n')
    facts("train", finished, "--recipe", recipe, "--out", tmp_path / "model")
    folder = tmp_path / "clip"
    folder.mkdir()
    sample = miex.dataset.open(finished)[0]
    for i, frame in enumerate([*sample.pair, sample.pair[0]], 8):
        cv2.imwrite(str(folder / f"{i}.png"), frame[..., ::-1])
    model = tmp_path / "model" / "recognizer.safetensors"
    (as_folder,) = facts("predict", folder, "--apex", 1, "--recognizer", model)["predictions"]
    assert sum(as_folder["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    said = command("predict", folder / "8.png", folder / "9.png", "--recognizer", model)
    assert said.returncode == 0, said.stderr
    assert set(as_folder["probabilities"]) == {label.name for label in Label}
    assert command("predict", folder, "--apex", 3, "--recognizer", model).returncode == 3
    (tmp_path / "gray.png").write_bytes(cv2.imencode(".png", np.full((99, 99), 128, np.uint8))[1].tobytes())
    nobody = command("predict", tmp_path / "gray.png", tmp_path / "gray.png", "--recognizer", model)
    assert nobody.returncode == 3
    assert "a face" in nobody.stderr


@pytest.mark.skipif(not LENT.is_dir(), reason="the lent maps are not there")
def test_references_on_the_lent_maps(tmp_path: Path) -> None:
    """The sign rule, exactly: no training. What is trained on them takes too long for a test."""
    views = read_real(LENT)
    assert [view.view for view in views] == ["first", "second"]
    real = views[0]
    assert np.bincount(real.examples.labels).tolist() == [158, 83, 68]
    assert {name: int(mask.sum()) for name, mask in real.parts.items()}["casme2"] == 145
    from miex.evaluation.metrics import confusion, score

    for view, expected in zip(views, (0.657, 0.558), strict=True):
        predicted = sign_rule(view.examples.through(FlowMaps(), tmp_path / view.view))
        assert round(score(confusion(view.examples.labels, predicted, 3)).uf1, 3) == expected
    assert read_flow(LENT / FLOW).digest == real.examples.digest
    assert replace(real).parts["choose"].sum() + real.parts["report"].sum() == 309


def test_a_corpus_by_name(tmp_path: Path, model: Path) -> None:
    """A fake in the layout of its owners, read, cropped, and tested over its people."""
    facts("corpora", "fake", "casme2", tmp_path / "casme2", "--landmarker", model)
    recipe = tmp_path / "short.toml"
    recipe.write_text('like = "fixed"\nsamples_seen = 640\nbatch = 64\n')
    corpus = f"casme2={tmp_path / 'casme2'}"
    options = ["--recipe", recipe, "--repeats", 1, "--store", tmp_path / "store"]
    refused = command("evaluate", corpus, *options)
    assert refused.returncode == 3
    assert "apex" in refused.stderr
    found = facts("evaluate", corpus, *options, "--no-apex", "drop")
    assert found["computed"] == 3
    assert command("evaluate", corpus, *options, "--no-apex", "guess").returncode == 2
