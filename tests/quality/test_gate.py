"""Requirements of a set: how they are read, and what meets them."""

from __future__ import annotations

import json
import operator
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import miex
from miex.aus.vector import AU_INDEX, N_AUS
from miex.dataset import open as open_set
from miex.dataset.plan_file import read_plan
from miex.dataset.samples import collect_samples, read_samples, write_samples
from miex.errors import InputError, RequirementError, UsageError
from miex.quality.audit import Audit, Moved, Outside, Sharpness
from miex.quality.gate import MEASURES, Facts, judge, judge_set, read_requirements
from miex.quality.identity import IdentityKept
from miex.quality.recovery import Recovery
from miex.report.gathered import gathered
from miex.report.statistics import statistics_of
from miex.storage.local import Folder
from tests.support import command, facts, stored_samples, write_over

ONLY_IN_TABLES = {
    "samples", "failed", "identical", "balance", "blinks", "motion_mean_px", "motion_mean_iod", "motion_p95_px",
    "motion_p95_iod", "psnr", "ssim", "faces", "people", "photos", "virtual",
}  # fmt: skip


def some_audit() -> Audit:
    """60 of 900 samples, each number another one."""
    crosstalk = np.zeros((N_AUS, N_AUS))
    crosstalk[AU_INDEX[12], [AU_INDEX[12], AU_INDEX[6], AU_INDEX[14]]] = 0.9, -0.3, 0.2
    crosstalk[AU_INDEX[2]] = np.nan  # on in too few pairs
    correlation, false_alarm = np.full(N_AUS, 0.85), np.full(N_AUS, 0.02)
    recovery = Recovery(58, np.full(N_AUS, 20), crosstalk, correlation, false_alarm)

    def kept(apex: float) -> IdentityKept:
        return IdentityKept(np.full(54, 0.1), np.full(54, 0.2), np.full(9, 0.8), np.zeros(0), 7, 0.99, apex)

    return Audit(
        n=60, of=900, seed=0, size=128, identical=1, faceless=2, recovery=recovery,
        identity={"SFace": kept(0.96), "shape": kept(0.5)},
        outside=Outside(50, 49, np.array([3]), 0.4),
        sharpness=Sharpness(np.array([0.9, 1.0, 1.1]), np.array([0.8, 0.81, 0.9])),
        moved=Moved(np.array([1.0, 2.0, 3.0]), np.array([0.01, 0.02]), 0.5), notes=("a note.",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(finished: Path) -> Facts:
    dataset = open_set(finished)
    return Facts(read_samples(finished), dataset.faces, dataset.record["config"]["classes"], some_audit())


def measured(text: str, of: Facts) -> float | None:
    (verdict,) = judge(read_requirements(text), of)
    return verdict.measured


# reading


def test_requirements_are_read_as_they_are_written() -> None:
    text = " identical==0 ,identity>= .95,\nau_slope ( 12 ) > 8e-1 , psnr != 40., failed < 1, ssim <= +0.5"
    assert [str(one) for one in read_requirements(text)] == [
        "identical == 0", "identity >= 0.95", "au_slope(12) > 0.8", "psnr != 40", "failed < 1", "ssim <= 0.5",
    ]  # fmt: skip
    assert read_requirements(", ".join(map(str, read_requirements(text)))) == read_requirements(text)


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("", "the end of the text", "a measure: samples, failed, identical"),
        ("identical == 0,", "the end of the text", "a measure"),
        ("identical == 0, beauty > 3", "'beauty' at character 17", "a measure: samples, failed, identical"),
        ("identical == 0; failed == 0", "';' at character 15", "a comma"),
        ("identical = 0", "'=' at character 11", "one of == != <= >= < >"),
        ("identical =< 0", "'=<' at character 11", "one of == != <= >= < >"),
        ("identical", "the end of the text", "one of == != <= >= < >"),
        ("identical(12) == 0", "'(12)' at character 10", "one of == != <= >= < >"),
        ("au_slope > 0.8", "'>' at character 10", r"in parentheses: au_slope\(12\)"),
        ("au_slope(3) > 0.8", "'3' at character 10", "one of AU 1, 2, 4"),
        ("au_slope(12 > 0.8", "'>' at character 13", "a closing parenthesis"),
        ("identity >= 95%", "'95%' at character 13", "a number"),
        ("identity >= nan", "'nan' at character 13", "a number"),
        ("identity >= 1e999", "'1e999' at character 13", "a number"),
        ("identity >= ٣", "'٣' at character 13", "a number"),
        ("identity >= 0.9.5", "'0.9.5' at character 13", "a number"),
        ("identity >= open(1)", "'open(1)' at character 13", "a number"),
        ("identical == 0 and failed == 0", "'and' at character 16", "a comma"),
    ],
)
def test_what_is_no_requirement_is_refused_where_it_stands(text: str, found: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        read_requirements(text)
    assert caught.value.found.startswith(found)
    assert repr(text) in caught.value.asked


def test_the_call_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`require`"):
        miex.write_report(tmp_path / "nowhere", require="beauty > 3")


# judging


def test_measures_are_those_of_the_audit(made: Facts) -> None:
    expected = {
        "measured": 60, "identical": 1, "faceless": 2 / 60, "identity": 0.96, "identity_onset": 0.99,
        "identity_ratio": 0.25, "au_slope(12)": 0.9, "au_correlation(12)": 0.85, "au_crosstalk(12)": 0.3,
        "au_false_alarm(12)": 0.02, "sharpness": 0.81, "sharpness_onset": 1, "motion": 2, "stray_motion": 0.015,
        "motion_ratio": 2 / 0.015, "unchanged": 0.98,
    }  # fmt: skip
    for name, value in expected.items():
        assert measured(f"{name} > 0", made) == pytest.approx(value), name
    assert {name.split("(")[0] for name in expected} | ONLY_IN_TABLES == set(MEASURES)
    without = replace(made.audit, identity={"shape": made.audit.identity["shape"]}) if made.audit else None
    (verdict,) = judge(read_requirements("identity >= 0.95"), replace(made, audit=without))
    assert (verdict.met, verdict.measured) == (False, 0.5)
    assert verdict.basis == "by shape, 54 of 60 measured samples, 7 faces"


def test_measures_are_those_of_the_tables(made: Facts, finished: Path) -> None:
    shown = statistics_of(gathered([made.samples]))
    also, table = shown["also"], open_set(finished).table
    expected = {
        "samples": 36, "failed": 0, "balance": 1, "faces": 12, "people": 1, "photos": 1, "virtual": 11 / 12,
        "blinks": also["blink"] / 36, "psnr": np.median(table["psnr"]), "ssim": np.median(table["ssim"]),
        **{name: np.median(table[name]) for name in table.column_names if name.startswith("motion_")
           and name != "motion_from"},
    }  # fmt: skip
    assert 0 < also["blink"] < 36
    for name, value in expected.items():
        assert measured(f"{name} > 0", made) == pytest.approx(value), name
    assert expected.keys() | {"identical"} == ONLY_IN_TABLES


def test_a_class_without_samples_is_counted(made: Facts) -> None:
    keep = [label != 1 for label in made.samples["label"].to_pylist()]
    assert measured("balance > 0.5", replace(made, samples=made.samples.filter(pa.array(keep)))) == 0
    half = [label != 1 or i % 2 == 0 for i, label in enumerate(made.samples["label"].to_pylist())]
    assert measured("balance > 0.5", replace(made, samples=made.samples.filter(pa.array(half)))) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("where", "value", "basis"),
    [
        ("label == 'positive'", None, "not measured: these samples are all of the class positive"),
        ("label != 'positive'", 1, "negative 12, surprise 12"),
        ("label == 'positive' or round < 0", None, "not measured: these samples are all of the class positive"),
        ("identity != None", 1, "negative 12, positive 12, surprise 12"),
    ],
)
def test_a_part_is_balanced_among_the_classes_that_it_has(
    finished: Path, where: str, value: float | None, basis: str
) -> None:
    (found,) = judge_set(read_requirements("balance > 0.5"), finished, None, where=where)
    assert (found.measured, found.basis) == (value, f"{basis}, where {where}")


def test_it_is_said_who_counts_as_a_person(made: Facts) -> None:
    (found,) = judge(read_requirements("people > 0"), made)
    assert (found.measured, found.basis) == (1, "12 identities: 1 person by name in 12 of them")
    names = pa.array(["ann", "ann", "bob", *[None] * 9])
    i = made.faces.schema.get_field_index("person")
    real = made.faces.set_column(i, "person", names)
    (found,) = judge(read_requirements("people > 0"), replace(made, faces=real))
    said = "12 identities: 2 people by name in 3 of them, and 1 nameless photo, each counted as one"
    assert (found.measured, found.basis) == (3, said)


@pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
def test_signs_mean_what_they_say(sign: str, made: Facts) -> None:
    compared = {
        "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    }[sign]  # fmt: skip
    for bound in (0.95, 0.96, 0.97):
        (verdict,) = judge(read_requirements(f"identity {sign} {bound}"), made)
        assert verdict.met == compared(0.96, bound)


def everything() -> Iterator[str]:
    for name, measure in MEASURES.items():
        for sign in ("<", ">", "!="):
            yield f"{name}{'(12)' if measure.of_au else ''} {sign} 1e9"


def test_what_was_not_measured_meets_nothing(made: Facts) -> None:
    """Whatever is asked of it, and however: with a limit above or below."""
    nothing = ("The note says why.",)
    audits = {
        "audit 0": None,
        "note says why": Audit(60, 900, 0, 128, 0, None, None, {}, None, None, None, nothing),
        "no sample was made": Audit(0, 0, 0, 128, 0, None, None, {}, None, None, None, nothing),
    }
    for text in everything():
        name = text.split("(")[0].split()[0]
        if name in ONLY_IN_TABLES:
            continue
        for reason, audit in audits.items():
            if name == "measured" and reason == "note says why":
                continue
            (verdict,) = judge(read_requirements(text), replace(made, audit=audit))
            assert (verdict.met, verdict.measured) == (False, None), text
            assert reason in verdict.basis, text
    (rare,) = judge(read_requirements("au_slope(2) > -9"), made)
    assert not rare.met
    assert rare.basis == "not measured: AU 2 is on in 20 pairs of 58; it takes 10 with and 10 without it"


def test_a_set_without_samples_meets_nothing_but_counts(made: Facts) -> None:
    empty = replace(made, samples=made.samples.slice(0, 0), faces=made.faces.slice(0, 0), audit=None)
    counts = {"samples", "failed", "identical", "faces", "people", "photos"}
    for text in everything():
        (verdict,) = judge(read_requirements(text), empty)
        assert (verdict.measured is None) == (text.split("(")[0].split()[0] not in counts), text
    assert measured("samples > 0", empty) == 0


# a set


def test_refused_pairs_count_as_identical(made: Facts) -> None:
    rows = made.samples.to_pylist()
    for row in rows[:2]:
        row |= {"status": "failed", "reason": "identical: onset and apex are the same picture", "psnr": None}
    rows[2] |= {"status": "failed", "reason": "no face"}
    of = replace(made, samples=pa.Table.from_pylist(rows, schema=made.samples.schema), audit=None)
    found = judge(read_requirements("identical == 0, failed == 3, samples == 33"), of)
    assert [(one.met, one.measured) for one in found] == [(False, 2), (True, 3), (True, 33)]


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> Path:
        raise InputError("landmark model", found="no network")

    monkeypatch.setattr("miex.storage.fetched.PublishedFile.find", nowhere)


@pytest.mark.usefixtures("no_models")
def test_a_set_in_which_two_pairs_are_made_identical_fails(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    asked = ("--samples", 2, "--workers", 1, "--require", "identical == 0, failed == 0")
    part = facts(
        "report", out, "--audit", 0, "--where", "label == 'positive'", "--samples", 2, "--require", "samples == 12"
    )
    assert [one["basis"] for one in part["required"]] == ["of 12 planned, where label == 'positive'"]
    assert part["required"][0]["met"]
    told = facts("report", out, "--audit", 2, *asked)["required"]
    assert [(one["requirement"], one["met"], one["measured"]) for one in told] == [
        ("identical == 0", True, 0),
        ("failed == 0", True, 0),
    ]
    clean = (out / "README.md").read_text()
    samples = stored_samples(out, 0)
    still = [replace(one, frames=(one.frames[0],) * 2) for one in samples[:2]]
    plan = read_plan(out)
    write_over(out, 0, [*still, *samples[2:]])
    write_samples(Folder(out), plan)
    assert sum(part.num_rows for part in collect_samples(Folder(out), plan)) == 36
    done = command("report", out, *asked)
    assert done.returncode == RequirementError.exit_code == 6
    assert done.stdout.splitlines() == [
        "NOT MET: identical == 0: 2 (0 refused when 36 were made, and 2 stored, of 36 compared)",
        "met: failed == 0: 0 (of 36 planned)",
        str(out / "gallery.html"),
    ]
    assert "1 of 2 requirements not met" in done.stderr
    wrong = (out / "README.md").read_text()
    told = json.loads(command("report", out, "--audit", 0, *asked[:-1], "identity > 0, ssim < 0", "--json").stdout)
    assert [(one["met"], one["measured"] is None) for one in told["required"]] == [(False, True), (False, False)]
    for text, row in ((clean, "identical == 0 | yes | 0 |"), (wrong, "== 0 | **no** | 2 |")):
        assert "## Required of the set" in text
        assert row in text


@pytest.mark.usefixtures("no_models")
def test_what_no_model_measured_is_not_met(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(finished, out)
    notes: list[str] = []
    found = miex.write_report(out, samples=2, audit=2, require="identity >= 0, sharpness > 0", say=notes.append)
    assert [one.met for one in found.verdicts] == [False, True]
    assert not found.met
    assert "no landmark model was at hand" in found.verdicts[0].basis
    assert not [note for note in notes if "no landmark model was at hand" in note]  # told once
    without = miex.write_report(out, samples=2, audit=0)
    assert without.met
    assert "Required of the set" not in (out / "README.md").read_text()


def test_all_measures_are_listed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "requirements.md").read_text()
    for name, one in MEASURES.items():
        assert f"| `{name}{'(AU)' * one.of_au}` | {one.meaning} |" in page
    text = command("report", "--measures").stdout
    assert [line.split()[0] for line in text.splitlines()] == [
        name + "(AU)" * one.of_au for name, one in MEASURES.items()
    ]
    assert all(one.meaning in text and one.meaning.endswith(".") for one in MEASURES.values())
