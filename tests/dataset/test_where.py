"""Queries choose what Python would choose, and say what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import miex.dataset
from miex.api.examples import selected
from miex.aus.vector import AU_NUMBERS
from miex.dataset.reader import Dataset
from miex.errors import UsageError
from miex.labels import Label
from tests.support import command


@pytest.fixture(scope="module")
def made(finished: Path) -> Dataset:
    """A set in which some AUs come from a corpus, and corpora of others are unknown."""
    dataset = miex.dataset.open(finished)
    corpora = pa.array([["samm", "casme2", None][i % 3] for i in range(36)], pa.string())
    table = dataset.table.set_column(dataset.table.schema.get_field_index("corpus"), "corpus", corpora)
    return Dataset(dataset.storage, table)


@pytest.fixture(scope="module", autouse=True)
def faces() -> Iterator[None]:
    """Of some of the people in the photos names are known, of others not."""
    given = Dataset.identities.func

    def changed(dataset: Dataset) -> pa.Table:
        table = given(dataset)
        for name, values in {
            "person": ["ann", "", "bo"],
            "kind": ["", "real"],
            "licence": ["public domain", ""],
        }.items():
            column = pa.array([values[i % len(values)] for i in range(len(table))], pa.string())
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dataset, "identities", property(changed))
        yield


def as_python_sees_it(dataset: Dataset) -> list[dict[str, Any]]:
    # there "" is what is unknown
    faces = {
        face["identity"]: {name: None if value == "" else value for name, value in face.items()}
        for face in dataset.identities.to_pylist()
    }
    return [
        {
            **faces[row["identity"]],
            **row,
            "label": Label(row["label"]).name,
            **{f"AU{au}": float(row["aus"][row["apex"]][i]) for i, au in enumerate(AU_NUMBERS)},
        }
        for row in dataset.table.to_pylist()
    ]


@pytest.mark.parametrize(
    "query",
    [
        "label == 'positive'",
        "label in ['positive', 'surprise'] and not virtual",
        "virtual",
        "corpus != 'samm'",
        "not corpus == 'samm'",
        "corpus not in ['samm']",
        "corpus is None or corpus == 'casme2'",
        "corpus is not None and not (label == 'surprise' or emotion in ('happiness', 'surprise'))",
        "0.1 <= AU12 < 0.25 or 0.15 < AU4",
        "licence == 'public domain' and round == 0",
        "-3 < yaw < 90 and yaw != 12.5",
        "motion_mean_px < motion_p95_px and ssim <= 0.96",
        "'surprise' == label",
        "label in []",
        "virtual == False",
        "AU12 >= +0.1",
        "person is None",
        "person is not None",
        "person == 'ann'",
        "person != 'ann'",
        "not person == 'ann'",
        "person in ['ann', 'bo']",
        "person not in ['ann']",
        "kind is None and attribution != licence",
    ],
)
def test_a_query_chooses_what_python_chooses(made: Dataset, query: str) -> None:
    expected = [row["sample_id"] for row in as_python_sees_it(made) if eval(query, {}, row)]
    assert made.where(query).table["sample_id"].to_pylist() == expected
    rest = made.where(f"not ({query})")
    assert len(rest) == 36 - len(expected)
    assert query == "label in []" or 0 < len(expected) < 36 or query.startswith(("licence", "-3"))


def test_select_is_the_short_form(made: Dataset) -> None:
    for short, query in (
        ({"label": "surprise"}, "label == 'surprise'"),
        ({"label": np.int64(2)}, "label == 2"),
        (
            {"label": [Label.negative, "positive"], "source": "expert"},
            "label in [0, 'positive'] and source == 'expert'",
        ),
    ):
        assert made.select(**short).table == made.where(query).table  # type: ignore[arg-type]
    assert len(made.where("label == 'surprise'").where("corpus is None")) == 12
    assert len(made.select(label="surprise").where("AU12 > 2")) == 0


def test_of_several_data_the_sets_are_chosen_from(made: Dataset, finished: Path) -> None:
    mine, other = selected([str(finished), "maps.npz"], "label == 'surprise'")
    assert isinstance(mine, Dataset)
    assert (len(mine), other) == (12, "maps.npz")
    assert len(selected(made, "corpus is None")) == 12
    assert selected("maps.npz", None) == "maps.npz"
    with pytest.raises(UsageError, match=r"a set to choose from\n.*maps\.npz"):
        selected(["maps.npz"], "label == 'surprise'")
    with pytest.raises(UsageError, match="at least one sample"):
        selected(finished, "AU12 > 2")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("label == 'postive'", r"negative, positive, surprise\n.*'postive', at character 10\n.*did you mean positive"),
        ("  label != 'é' and source == 'expret'", r"no sample whose label is 'é', at character 10"),
        ("'é' != emotion and source == 'expret'", r"no sample whose emotion is 'é', at character 1"),
        ("label in ['positive', 'happy']", "'happy', at character 23"),
        ("lable == 'positive'", r"sample_id.*licence.*AU45\n.*lable.*\n.*did you mean label"),
        ("label == positive", "in quotes: 'positive'"),
        ("label < 'positive'", "label, which is text"),
        ("label in 'positive'", "a list"),
        ("AU12 > '0.1'", "a number beside AU12"),
        ("AU12 > True", "a number beside AU12"),
        ("AU12 == label", "a column of a number"),
        ("label", "label == …"),
        ("(label == 'positive'", "never closed"),
        ("subject == 's1'", "no sample has a subject"),
        ("", "comparisons"),
        ("label == 'positive' if virtual else 1", "comparisons"),
        ("1 == 1", "a column beside"),
        ("AU12 == 10 ** 10 ** 10", "a number"),
        ("round == " + "9" * 400, "too large"),
        ("not " * 100_000 + "virtual", "comparisons"),
        ("label == 'a\0'", "null"),
        ("__import__('os').system('true')", "comparisons"),
        ("label == __import__('os').name", "a text in quotes"),
        ("label = 'positive'", r"invalid syntax, at character 7\n.*did you mean ==\?"),
        ("label === 'positive'", r"did you mean ==\?$"),
        ("label is 'positive'", r"did you mean ==\?$"),
        ("label is not 'positive'", r"did you mean !=\?$"),
        ("label == not 'positive'", r"did you mean !=\?$"),
        ("virtual and label not 'positive'", r"did you mean !=\?$"),
        ("label <> 'positive'", r"did you mean !=\?$"),
        ("AU12 =! 0.1", r"did you mean !=\?$"),
        ("AU12 => 0.1", r"did you mean >=\?$"),
        ("!virtual", r"did you mean not\?$"),
        ("not virtual and", r"at character 1$"),
        ("label == '=' && virtual", r"did you mean and\?$"),
        ("virtual & virtual", r"did you mean and\?$"),
        ("virtual OR virtual", r"did you mean or\?$"),
        ("label == “positive”", r"did you mean straight quotes\?$"),
        ("label == 'positive' or 'negative'", r"label in \['…', '…'\]"),
        ("au12 > 0.1", r"did you mean AU12\?$"),
        ("label == 'POSITIVE'", r"did you mean positive\?$"),
        ("(lambda: virtual)()", "comparisons"),
    ],
)
def test_what_is_no_query_is_refused(made: Dataset, query: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        made.where(query)
    assert "`where`" in str(refused.value)


@pytest.mark.parametrize(
    "query",
    ["label == '{}'", "{} == 1", "label == {}", "label in ['positive', '{}']", "{}(1)", "label == 'positive' {}"],
)
def test_a_long_query_is_not_repeated_whole(made: Dataset, query: str) -> None:
    with pytest.raises(UsageError) as refused:
        made.where(query.format("x" * 20_000))
    assert len(str(refused.value)) < 3000


def test_a_list_comes_from_a_file(made: Dataset, finished: Path, tmp_path: Path) -> None:
    ids = made.table["sample_id"].to_pylist()
    listed = tmp_path / "märked ones.txt"
    listed.write_text("\ufeff" + "\r\n".join([ids[7], "", ids[3]]) + "\n", "utf-8")
    asked = f"sample_id in @'{listed}'"
    assert made.where(asked).table["sample_id"].to_pylist() == [ids[3], ids[7]]
    assert len(made.where(f"sample_id not in @'{listed}' and label == 'surprise'")) == sum(
        Label(row["label"]).name == "surprise" for i, row in enumerate(made.table.to_pylist()) if i not in (3, 7)
    )
    (tmp_path / "labels.txt").write_text("positive\n")
    assert len(made.where(f"(label in @{tmp_path}/labels.txt) and identity != None")) == 12
    done = command("export", finished, "--to", "folder", "--out", tmp_path / "out", "--where", asked, "--json")
    assert json.loads(done.stdout)["samples"] == 2


def test_thousands_are_listed(made: Dataset, tmp_path: Path) -> None:
    n = 9000
    ids = [f"sample-{i:05d}" for i in range(n)]
    table = made.table.take(np.arange(n) % len(made))
    many = Dataset(
        made.storage, table.set_column(table.schema.get_field_index("sample_id"), "sample_id", pa.array(ids))
    )
    (tmp_path / "list.txt").write_text("\n".join(ids[::2]))
    assert many.where(f"sample_id in @{tmp_path}/list.txt").table["sample_id"].to_pylist() == ids[::2]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sample_id in @nowhere.txt", r"a text file with one value a line\n.*@nowhere.txt: no such file.*character 14"),
        ("label != 'é' and sample_id in @nowhere.txt", "no sample whose label is 'é', at character 10"),
        ("emotion in @'é.txt' and source == 'expret'", "é.txt: no such file"),
        ("AU12 in @numbers.txt", "files list texts"),
        ("sample_id in @list.txt", "no sample whose sample_id is 'nobody', at character 14"),
        ("sample_id == @list.txt", "a value or a column"),
        ("@list.txt in sample_id", "a column"),
        ("sample_id in @binary.txt", "a text file"),
        ("sample_id in @.", "@.: a folder"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    made: Dataset, query: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("nobody")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=message):
        made.where(query)
