"""`miex aus` and the sources of `miex synthesize`, as a user types them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from PIL import Image

from miex.corpora.catalog import read
from miex.corpora.clip import Descent
from miex.evaluation.leakage import allowed
from miex.figures import write_picture
from miex.labels import Label
from miex.report.au_pictures import au_changes, side_by_side
from miex.sources.pool import read_pool
from tests.corpus_fixture import INTENSITIES, corpus, track
from tests.support import command, facts, photo_folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus as people have one: OpenFace files of every clip, a list of clips, photos of other people."""
    folder = tmp_path_factory.mktemp("lab")
    clips = corpus()
    for of in clips:
        rows = track(of).aus * 5
        path = folder / "aus" / of.subject / of.clip / f"{of.clip}.csv"
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["frame", " confidence", " success", *(f" {name}" for name in INTENSITIES)])
            writer.writerows([i + 1, 0.98, 1, *row] for i, row in enumerate(rows.tolist()))
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "clip", "emotion", "onset", "apex", "offset"])
        # OpenFace numbers frames from 1, and so does a table without frames
        writer.writerows([of.subject, of.clip, of.emotion.title(), 3, 7, 10] for of in clips)
    photo_folder(folder / "faces", 2)
    return folder


@pytest.fixture(scope="module")
def pool(lab: Path) -> Path:
    table, out = lab / "table.parquet", lab / "pool.parquet"
    made = facts(
        "aus", "import", lab / "aus", "--out", table, "--version", "2.2.0", "--licence", "CC BY-NC-SA 4.0",
        "--attribution", "Somebody (2018)",
    )  # fmt: skip
    assert made == {
        "out": str(table), "format": "openface", "files": 12, "clips": 12, "frames": 144, "failed": 0,
        "several_faces": [], "unseen_aus": [], "passed_over": [],
    }  # fmt: skip
    joined = facts("aus", "pool", table, "--corpus", "CASME II", "--clips", lab / "clips.csv", "--column",
                   "subject=person", "--out", out)  # fmt: skip
    assert joined["left_out"] == {"no label for others": 3}
    assert joined["emotions"] == {"disgust": 3, "happiness": 3, "surprise": 3}
    return out


def test_real_and_expert_aus_in_one_set(lab: Path, pool: Path) -> None:
    out = lab / "set"
    options = [
        "--faces",
        lab / "faces",
        "--real-mie",
        f"casme2={pool}",
        "--expert",
        "du2014",
        "--size",
        64,
        "--out",
        out,
    ]
    assert facts("synthesize", *options)["made"] == 2 * 3 * 2
    assert facts("verify", out)["problems"] == []
    rows = pq.read_table(out / "samples.parquet")
    assert Counter(rows["source"].to_pylist()) == {"real_mie": 6, "expert": 6}
    real = [row for row in rows.to_pylist() if row["source"] == "real_mie"]
    for row in real:
        assert (row["corpus"], row["onset_frame"], row["apex_frame"]) == ("casme2", 2, 6)
        assert row["subject"] in {"sub01", "sub02", "sub03"}
        assert np.array(row["aus"][0]).max() == 0  # relative to the person's rest
    # what the guard leaves when one of these people is tested
    tested = real[0]["subject"]
    kept = allowed(rows, {("casme2", tested.removeprefix("sub0"))})
    expected = [row["subject"] != tested for row in rows.to_pylist()]
    assert kept.tolist() == expected
    readme = (out / "README.md").read_text()
    assert "| real_mie | casme2 | 9 | 3 | openface 2.2.0 | CC BY-NC-SA 4.0 | Somebody (2018) |" in readme
    config = json.loads((out / "plan.json").read_text())["config"]["sources"]["real_mie"]
    assert config["corpora"][0]["licence"] == "CC BY-NC-SA 4.0"
    assert config["origin"] == "relative"
    other = command("synthesize", *options, "--au-origin", "absolute")
    assert other.returncode == 5
    assert "sources.real_mie.origin" in other.stderr


def test_early_macro_expressions_noise_and_triplets(lab: Path, pool: Path) -> None:
    macro = lab / "macro.parquet"
    facts("aus", "pool", lab / "table.parquet", "--corpus", "casme2", "--clips", lab / "clips.csv", "--column",
          "subject=person", "--kind", "macro", "--out", macro)  # fmt: skip
    out = lab / "plan"
    done = command(
        "plan", "--faces", lab / "faces", "--early-mae", f"casme2={macro}", "--early-window", "casme2=.1:.4",
        "--expert", "none", "--samples", 11, "--triplets", 6, "--au-noise", 0.05, "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(out / "plan.parquet").to_pylist()
    assert len(rows) == 11
    assert {row["source"] for row in rows} == {"early_mae"}
    assert len({str(row["aus"]) for row in rows}) == 6
    assert {row["apex_frame"] for row in rows} <= {3, 4, 5}  # 2 + ⌊0.1 · 8⌋ … 2 + ⌊0.4 · 8⌋, at least a frame later
    config = json.loads((out / "plan.json").read_text())["config"]
    assert (config["samples"], config["triplets"]) == (11, 6)
    assert config["sources"]["early_mae"]["perturbation"] == 0.05


def test_too_few_triplets_are_told(lab: Path, pool: Path) -> None:
    done = command("plan", "--faces", lab / "faces", "--per", 20, "--real-mie", f"casme2={pool}", "--expert", "none",
                "--triplets", 90, "--out", lab / "few")  # fmt: skip
    assert done.returncode == 0
    assert "only 3 of 90 AU triplets" in done.stderr


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--real-mie", "POOL"], "expected: NAME=PATH"),
        (["--real-mie", "samm=POOL"], "found: clips of casme2"),
        (["--real-mie", "casme2=missing.parquet"], "no such file"),
        (["--coded-mie", "nowhere=x.xlsx"], "corpus 'nowhere'"),
        (["--expert", "none"], "no source of AUs"),
        (["--au-origin", "half"], "one of relative, absolute"),
        (["--early-mae", "casme2=POOL"], "9 left out: micro-expression"),
        (["--early-window", "ckplus"], "early window 'ckplus'"),
        (["--au-noise", "2"], "AU perturbation 2"),
        (["--per", "2", "--samples", "9"], "--per 2 and --samples 9"),
        (["--triplets", "2"], "ask for 3 or more"),
    ],
)
def test_wrong_options_are_told(lab: Path, pool: Path, options: list[str], text: str) -> None:
    done = command("plan", "--out", lab / "wrong", *(option.replace("POOL", str(pool)) for option in options))
    assert done.returncode in (2, 3)
    assert text in done.stderr
    assert not (lab / "wrong" / "plan.json").exists()


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called on, figures are made and their files are there, but nothing is painted: it takes long."""

    def touch(made: Figure, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    return lambda: monkeypatch.setattr("miex.report.au_drawn.write_picture", touch)


def test_pictures_of_sources_and_of_a_plan(
    lab: Path, pool: Path, tmp_path: Path, unpainted: Callable[[], None]
) -> None:
    made = facts(
        "aus", "show", "--real-mie", f"casme2={pool}", "--expert", "du2014", "--samples", 20, "--out", tmp_path
    )
    names = {"histogram-real_mie", "cooccurrence-real_mie", "histogram-expert", "cooccurrence-expert", "sources"}
    assert {Path(path).stem for path in made["pictures"]} == names
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 400
            assert len(set(picture.convert("L").resize((200, 200)).tobytes())) > 20  # something is drawn
    unpainted()
    plan = facts("aus", "show", lab / "plan", "--out", tmp_path / "plan")
    assert {Path(path).stem for path in plan["pictures"]} == {
        "histogram-early_mae",
        "cooccurrence-early_mae",
        "sources",
    }
    assert "expected: the folder of a finished set" in command("aus", "show", "--recovered").stderr
    small = command("aus", "show", lab / "set", "--recovered", "--out", tmp_path / "small")
    assert "frames of at least 256 px" in small.stderr


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    luck = np.random.default_rng(0)
    aus = au_changes(np.zeros((30, 17), np.float32), luck.random((30, 17), np.float32), [Label.positive] * 30)
    for name in ("a.png", "b.png"):
        write_picture(side_by_side({"x": aus}), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_aus_of_a_set_are_read_again(tmp_path: Path, model: Path, unpainted: Callable[[], None]) -> None:
    """The measure of AUs realized, end to end."""
    unpainted()
    table = tmp_path / "each.toml"
    aus = ", ".join(f"{au} = 0.5" for au in (1, 4, 6, 12, 17))
    table.write_text(f'name = "each"\n[emotions.any]\nlabel = "negative"\naus = {{ {aus} }}\n')
    options = [
        "--classes",
        "negative",
        "--expert",
        table,
        "--size",
        256,
        "--nuisances",
        "off",
        "--out",
        tmp_path / "set",
    ]
    # of this seed each AU is on in 10 or 11: ten with it and ten without are asked for
    facts("synthesize", "--ids", 21, "--seed", 168, *options)
    made = facts("aus", "show", tmp_path / "set", "--recovered", "--out", tmp_path / "pictures")
    numbers = made["recovered"]["aus"]
    assert {found["pairs"] for found in numbers.values()} == {10, 11}
    assert set(numbers) == {"1", "4", "6", "12", "17"}
    for au, found in numbers.items():
        assert 0.8 < found["slope"] < 1.1, au
        assert found["correlation"] > 0.95, au
        assert abs(found["crosstalk"]) < 0.2, au
    with Image.open(tmp_path / "pictures" / "recovered.png") as picture:
        assert min(picture.size) > 400


# a corpus of one's own


def test_three_columns_make_a_pool(lab: Path, pool: Path, tmp_path: Path) -> None:
    """A table of clip, subject, emotion; labels by name; the kind of its clips."""
    clips = tmp_path / "list.csv"
    clips.write_text("clip,subject,emotion\n" + "".join(f"{c.clip},{c.subject},{c.emotion}\n" for c in corpus()))
    made = facts(
        "aus", "pool", lab / "table.parquet", "--corpus", "Mine", "--clips", clips, "--out", tmp_path / "p.parquet"
    )
    assert made["emotions"] == {"disgust": 3, "happiness": 3, "surprise": 3}
    found = read_pool(tmp_path / "p.parquet")
    assert {(clip.corpus, clip.kind, clip.onset) for clip in found.clips} == {("mine", "micro", None)}
    options = ["--label", "Others=negative", "--kind", "macro"]
    facts(
        "aus",
        "pool",
        lab / "table.parquet",
        "--corpus",
        "Mine",
        "--clips",
        clips,
        *options,
        "--out",
        tmp_path / "o.parquet",
    )
    others = read_pool(tmp_path / "o.parquet")
    assert {(clip.emotion, clip.label, clip.kind) for clip in others.clips} == {("others", Label.negative, "macro")}
    refused = command(
        "aus", "pool", lab / "table.parquet", "--corpus", "mine", "--clips", clips, "--kind", "mini", "--out", "x"
    )
    assert refused.returncode == 2
    assert "one of micro, macro" in refused.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A corpus of one's own with frames: a fake of two people."""
    folder = tmp_path_factory.mktemp("own") / "frames"
    facts("corpora", "fake", "plain", folder, "--subjects", 2, "--size", 128, "--landmarker", model)
    return folder


@pytest.fixture(scope="module")
def own_table(own: Path, tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """AUs read off its frames."""
    table = tmp_path_factory.mktemp("own-table") / "table.parquet"
    seen = facts("aus", "extract", "mine", own, "--out", table, "--landmarker", model)
    assert (seen["clips"], seen["failed"]) == (6, 0)
    return table


def test_a_pool_has_the_frames_that_the_reader_has(own: Path, own_table: Path, tmp_path: Path) -> None:
    """Whatever way a table is read, a frame has one number."""
    out = tmp_path / "pool.parquet"
    facts("aus", "pool", own_table, "--corpus", "mine", "--clips", own / "clips.csv", "--out", out)
    expected = {(c.corpus, c.subject, c.clip, c.onset, c.apex, c.offset) for c in read("mine", own).clips}
    assert {(c.corpus, c.subject, c.clip, c.onset, c.apex, c.offset) for c in read_pool(out).clips} == expected
    assert len(expected) == 6


def test_two_corpora_of_ones_own_are_two_sources(own: Path, lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan"
    options = [
        "--coded-mie",
        f"here={own}",
        "--coded-mie",
        f"there={own / 'clips.csv'}",
        "--expert",
        "none",
        "--per",
        9,
    ]
    done = command("plan", "--faces", lab / "faces", *options, "--out", out)
    assert done.returncode == 0, done.stderr
    assert set(pq.read_table(out / "plan.parquet")["corpus"].to_pylist()) == {"here", "there"}


def test_a_set_that_is_read_as_a_corpus_descends_from_whom_it_did(
    own: Path, own_table: Path, lab: Path, tmp_path: Path, model: Path
) -> None:
    """Pool → set → export → extract → pool → plan: the leak guard still knows whose AUs these are."""
    pool, made, frames, out = tmp_path / "pool.parquet", tmp_path / "set", tmp_path / "frames", tmp_path / "plan"
    facts("aus", "pool", own_table, "--corpus", "casme2", "--clips", own / "clips.csv", "--out", pool)
    sources = ["--real-mie", f"casme2={pool}", "--expert", "micro"]
    facts("synthesize", "--faces", lab / "faces", *sources, "--ids", 1, "--nuisances", "off", "--out", made)
    facts("export", made, "--to", "folder", "--out", frames)
    report = facts("corpora", "check", "made", frames)
    assert (report["corpus"], report["clips"], report["with_frames"], report["problems"]) == ("made", 6, 6, [])
    rows = {row["sample_id"]: row for row in pq.read_table(made / "samples.parquet").to_pylist()}
    for clip in read("made", frames).clips:
        row = rows[clip.clip]
        assert clip.descent == Descent(row["source"], row["corpus"], row["subject"], row["clip"])
    options = ["--real-mie", f"made={frames}", "--expert", "none", "--per", 8, "--landmarker", model]
    done = command("plan", "--faces", lab / "faces", *options, "--out", out)
    assert done.returncode == 0, done.stderr
    again = pq.read_table(out / "plan.parquet")
    for row in again.to_pylist():
        first = rows[row["clip"]]
        person = (first["corpus"], first["subject"]) if first["source"] == "real_mie" else ("made", first["photo"])
        assert (row["corpus"], row["subject"]) == person
    tested = next(row["subject"] for row in again.to_pylist() if row["corpus"] == "casme2")
    kept = allowed(again, {("casme2", tested)}, independent=["made"])
    assert kept.tolist() == [row["subject"] != tested for row in again.to_pylist()]
    assert kept.any()


def test_tables_of_a_pool_must_agree(lab: Path, pool: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    facts("aus", "import", lab / "aus" / "sub01", "--out", other, "--licence", "CC0")
    options = ["--corpus", "casme2", "--clips", lab / "clips.csv", "--column", "subject=person"]
    twice = command(
        "aus", "pool", lab / "table.parquet", lab / "table.parquet", *options, "--out", tmp_path / "p.parquet"
    )
    assert "expected: each clip in one table" in twice.stderr
    mixed = command("aus", "pool", lab / "table.parquet", other, *options, "--out", tmp_path / "p.parquet")
    assert "expected: one licence" in mixed.stderr
    assert read_pool(pool).credit.licence == "CC BY-NC-SA 4.0"
