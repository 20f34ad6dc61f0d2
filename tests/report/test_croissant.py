"""The card, its picture and croissant.json: true, the same bytes each time, proven, accepted by who reads them."""

from __future__ import annotations

import hashlib
import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import miex
from miex.dataset.pages import REPORT, page_problems
from miex.dataset.reader import Dataset
from miex.dataset.verify import verify
from miex.report.build import write_report
from miex.report.card_picture import card_picture
from miex.report.croissant import croissant
from miex.report.gathered import gathered
from miex.report.statistics import statistics_of
from miex.storage.local import Folder
from tests.support import flip_bit


@pytest.fixture(scope="module")
def told(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with its report. Read only."""
    out = tmp_path_factory.mktemp("told") / "set"
    shutil.copytree(finished, out)
    write_report(out, n=2)
    return out


def test_what_is_written_is_the_same_each_time_and_proven(told: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    shutil.copytree(told, out)
    before = {name: (out / name).read_bytes() for name in REPORT}
    assert verify(out).problems == ()
    for name in REPORT:
        flip_bit(out / name, 40)
        (problem,) = page_problems(Folder(out))
        assert problem.startswith(f"{name}: sha256")
        flip_bit(out / name, 40)
    write_report(out, n=2)
    assert {name: (out / name).read_bytes() for name in REPORT} == before


def test_croissant_names_every_file_and_column(told: Path) -> None:
    text = (told / "croissant.json").read_text("utf-8")
    found, dataset = json.loads(text), miex.open(told)
    files = {file["name"]: file for file in found["distribution"]}
    for name, file in files.items():
        if file["@type"] == "cr:FileObject":
            assert file["sha256"] == hashlib.sha256((told / name).read_bytes()).hexdigest()
            assert file["contentSize"] == f"{(told / name).stat().st_size} B"
    assert sorted((told / "shards").glob(files["shards"]["includes"].removeprefix("shards/")))
    columns = {one["name"]: [field["name"] for field in one["field"]] for one in found["recordSet"]}
    assert columns == {"samples": dataset.table.schema.names, "faces": dataset.faces.schema.names}
    assert found["license"] == ["public domain"]
    assert "synthetic" in found["description"]
    assert dataset.record["digests"]["plan"] in text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib
def test_mlcroissant_accepts_it_and_reads_the_samples(told: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed (extra: oracles)")
    read = mlcroissant.Dataset(str(told / "croissant.json"))
    assert not read.metadata.ctx.issues.errors
    assert "datePublished" in "".join(read.metadata.ctx.issues.warnings)  # and nothing else
    assert len(read.metadata.ctx.issues.warnings) == 1
    for row, sample in zip(read.records("samples"), miex.open(told), strict=True):
        assert row["samples/sample_id"].decode() == sample.sample_id
        assert [float(z) for z in row["samples/aus"][1]] == sample.aus[1].tolist()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib
def test_mlcroissant_refuses_what_is_wrong(told: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed (extra: oracles)")
    wrong = json.loads((told / "croissant.json").read_text("utf-8"))
    wrong["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] = "nowhere"
    (tmp_path / "croissant.json").write_text(json.dumps(wrong))
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(str(tmp_path / "croissant.json"))


def test_the_card_says_how_to_make_the_set_again(told: Path) -> None:
    text = (told / "README.md").read_text("utf-8")
    (commands,) = (block for block in text.split("```") if block.startswith("sh\n"))
    assert "cp plan.parquet plan.json faces.parquet again" in commands
    again = told.parent / "again"
    again.mkdir()
    for name in ("plan.parquet", "plan.json", "faces.parquet"):
        shutil.copy(told / name, again)
    miex.run(again, faces=miex.open(told).record["faces_root"], shards="7")
    tar = "shards/00007.tar"
    assert (again / tar).read_bytes() == (told / tar).read_bytes()
    for said in ("## Uses", "detecting lies", "IPTC digital source type", "](card.svg)", "public domain"):
        assert said in text


def test_the_picture_holds_text_of_anyone_and_sets_without_samples(told: Path) -> None:
    dataset = miex.open(told)
    table = dataset.table
    hostile = '<script>alert("1")</script> & more'
    named = table.set_column(table.schema.get_field_index("emotion"), "emotion", [[hostile] * len(table)])
    root = ElementTree.fromstring(card_picture(statistics_of(gathered([named]))))
    assert {one.tag.rpartition("}")[2] for one in root.iter()} == {"svg", "rect", "title", "text", "line"}
    assert any((one.text or "").startswith(hostile) for one in root.iter())
    ElementTree.fromstring(card_picture(statistics_of(gathered([table.slice(0, 0)]))))
    assert json.loads(croissant(Dataset(dataset.storage, table.slice(0, 0))))["name"] == "set"
