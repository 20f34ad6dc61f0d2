"""What lies on disk as people keep it: several tables, other corpora, empty files, flat folders, folders by class."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex
from miex.api.sources import named_sources
from miex.corpora.catalog import corpora, corpus_named, read
from miex.corpora.check import check
from miex.corpora.fakes.write import write_fake
from miex.corpora.readers.compmie import PARTS
from miex.errors import InputError, UsageError
from miex.labels import Label
from tests.corpus_fixture import encode, render

HEADER = "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion\n"
OLD, NEW = HEADER + "24,EP07_01,1,3,5,1,sadness\n", HEADER + "24,EP07_01,1,3,5,1,surprise\n"


def fake(name: str, folder: Path) -> Path:
    return write_fake(corpus_named(name), folder / name, render, encode, subjects=2).path


def told(path: Path, name: str = "casme2", **options: Any) -> set[tuple[Any, ...]]:
    return {(c.subject, c.clip, c.onset, c.apex, c.offset, len(c.frames)) for c in read(name, path, **options).clips}


def moved(path: Path, how: Any) -> None:
    """Every folder of frames of a CASME II to another place: how(subject, clip, emotion)."""
    clips = read("casme2", path).clips
    for clip in clips:
        target = path / how(clip.subject, clip.clip, clip.emotion)
        target.parent.mkdir(parents=True, exist_ok=True)
        clip.frames[0].parent.rename(target)
    for tree in ("CASME2_RAW_selected", "Cropped", "CASME2-RAW"):
        shutil.rmtree(path / tree, ignore_errors=True)


def test_the_newest_of_several_tables(tmp_path: Path) -> None:
    (tmp_path / "CASME2-coding-20140508.csv").write_text(OLD)
    (tmp_path / "CASME2-coding-20190701.csv").write_text(NEW)
    reading = read("casme2", tmp_path)
    assert [clip.emotion for clip in reading.clips] == ["surprise"]
    assert [table.name for table in reading.other_tables] == ["CASME2-coding-20140508.csv"]
    given = read("casme2", tmp_path, table=tmp_path / "CASME2-coding-20140508.csv")
    assert [clip.emotion for clip in given.clips] == ["sadness"]
    tables = [Path(f"SAMM_Micro_FACS_Codes{v}.xlsx") for v in ("", "_v1", "_v3", "_v2")]
    assert corpus_named("samm").named_as_table(tables) == [tables[i] for i in (2, 3, 1, 0)]
    # the composite is defined by the older one
    (casme2,) = (part for part in PARTS if part.name == "casme2")
    assert casme2.find_tables(tmp_path)[0].name == "CASME2-coding-20140508.csv"


def test_tables_that_differ_are_asked_about(tmp_path: Path) -> None:
    table = tmp_path / "CASME2-coding-20140508.csv"
    table.write_text(OLD)
    copy = tmp_path / "backup" / table.name
    copy.parent.mkdir()
    copy.write_text(OLD.replace(",", ";"))  # saved by another spreadsheet: the same rows
    assert read("casme2", tmp_path).tables == (table,)
    copy.write_text(NEW)
    with pytest.raises(UsageError, match="`table`") as error:
        read("casme2", tmp_path)
    assert str(table) in str(error.value)
    assert str(copy) in str(error.value)
    assert read("casme2", tmp_path, table=copy).clips[0].emotion == "surprise"


@pytest.mark.parametrize(
    "newer",
    ["CASME2-coding-20190701.csv", "CASME2-coding-20190701 (1).csv", "CASME2-coding_20190701.csv",
     "CASME2-coding-updated-20190701.csv", "CASME2 coding 20190701.csv", "backup/CASME2-coding-20190701.csv"],
)  # fmt: skip
def test_the_newest_table_however_it_is_called(tmp_path: Path, newer: str) -> None:
    (tmp_path / "CASME2-coding-20140508.csv").write_text(OLD)
    (tmp_path / "backup").mkdir()
    (tmp_path / newer).write_text(NEW)
    assert read("casme2", tmp_path).tables == (tmp_path / newer,)
    (casme2,) = (part for part in PARTS if part.name == "casme2")
    assert casme2.find_tables(tmp_path)[0].name == "CASME2-coding-20140508.csv"


@pytest.mark.parametrize(
    ("first", "second"),
    [("CASME2-coding-20190701.csv", "CASME2-coding-20190701 (1).csv"),
     ("CASME2-coding-20190701.csv", "CASME2-coding-updated-20190701.csv"),
     ("CASME2-coding-20190701.csv", "CASME2-coding-updated.csv"), ("CASME2-coding.csv", "CASME2-coding (1).csv")],
)  # fmt: skip
def test_tables_of_which_none_is_known_to_be_newer(tmp_path: Path, first: str, second: str) -> None:
    (tmp_path / first).write_text(NEW)
    (tmp_path / second).write_text(OLD)
    with pytest.raises(UsageError, match="`table`"):
        read("casme2", tmp_path)
    (tmp_path / second).write_text(NEW)
    assert len(read("casme2", tmp_path).clips) == 1


@pytest.mark.parametrize(
    ("asked", "there"),
    [("casme2", "samm"), ("casme2", "mmew"), ("casme2", "smic"), ("casme2", "casme"), ("casme", "casme2"),
     ("samm", "casme2"), ("smic", "smic-vis"), ("smic-e", "smic"), ("ckplus", "oulu-casia"), ("mmew", "mmew-macro"),
     ("samm", "samm-long"), ("casme3-c", "casme3-a")],
)  # fmt: skip
def test_another_corpus_is_recognized(tmp_path: Path, asked: str, there: str) -> None:
    path = fake(there, tmp_path)
    title = re.escape(corpora()[there].title)
    for options in ({}, {"on_error": "skip"}, {"on_error": "collect"}):
        with pytest.raises(InputError, match=f"(?s)this is {title}'s.*read it as {there},"):
            read(asked, path, **options)
    with pytest.raises(InputError, match=f"this is {title}'s"):
        miex.corpora.inspect(asked, path)


def test_a_renamed_table_of_another_corpus_is_recognized(tmp_path: Path) -> None:
    """SAMM's has the columns of CASME II; its clips have other names."""
    table = tmp_path / "labels.xlsx"
    shutil.copy(fake("samm", tmp_path) / corpora()["samm"].fake_table, table)
    named = tmp_path / "CASME2" / "CASME2-coding-20190701.xlsx"
    named.parent.mkdir()
    shutil.copy(table, named)
    for there in (table, named, named.parent):
        for how in ("raise", "skip"):  # nobody of SAMM becomes one of CASME II
            with pytest.raises(InputError, match="this is SAMM's"):
                read("casme2", there, on_error=how)
        with pytest.raises(InputError, match="this is SAMM's"):
            miex.corpora.inspect("casme2", there)


def test_frames_of_0_bytes_are_no_frames(tmp_path: Path) -> None:
    path = fake("casme2", tmp_path)
    clip = read("casme2", path).clips[0]
    assert clip.apex is not None
    clip.frames[clip.apex].write_bytes(b"")
    again = read("casme2", path).clips[0]
    assert clip.frames[clip.apex] not in again.frames
    assert again.published == clip.published
    assert again.apex == clip.apex - 1
    assert any(note == f"files of 0 bytes: {clip.frames[clip.apex].name}" for note in again.notes)
    facts = check(corpus_named("casme2"), path).facts()
    assert facts["notes"]["files of 0 bytes"] == 1
    assert facts["missing_frames"] == 1


@pytest.mark.parametrize(
    "how",
    [lambda s, c, e: f"{s}_{c}", lambda s, c, e: f"frames/{s}_{c}", lambda s, c, e: f"{e}/{s}/{c}",
     lambda s, c, e: f"by class/{e}/{s}_{c}", lambda s, c, e: f"{s}/{e}/{c}",
     lambda s, c, e: f"{'train' if s == 'sub01' else 'test'}/{s}/{c}",
     lambda s, c, e: f"{'train' if s == 'sub01' else 'test'}/{'pos' if e == 'happiness' else 'neg'}/{s}/{c}",
     lambda s, c, e: f"{'train' if s == 'sub01' else 'test'}/pos/{s}/{c}"],
    ids=["flat", "flat below", "by class", "flat by class", "class in subject", "train and test",
         "train and test by class", "train and test of one class"],
)  # fmt: skip
def test_flat_folders_and_folders_by_class_are_found(tmp_path: Path, how: Any) -> None:
    path = fake("casme2", tmp_path)
    before = told(path)
    moved(path, how)
    reading = read("casme2", path)
    assert told(path) == before
    assert not reading.unnamed
    assert len(reading.trees) == 1


@pytest.mark.parametrize(("first", "second"), [("happiness", "disgust"), ("train/pos", "test/pos")])
def test_a_clip_in_two_folders_of_one_copy_is_named(tmp_path: Path, first: str, second: str) -> None:
    path = fake("casme2", tmp_path)
    moved(path, lambda s, c, e: f"{first if s == 'sub01' else second}/{s}/{c}")
    assert len(told(path)) == 12
    (clip,) = (clip for clip in read("casme2", path).clips if (clip.subject, clip.clip) == ("sub01", "EP02_01f"))
    shutil.copytree(clip.frames[0].parent, path / second / "sub01" / "EP02_01f")
    with pytest.raises(InputError, match="each clip in one") as error:
        read("casme2", path)
    one, other = sorted((first, second))
    assert f"1 in two, such as {one}/sub01/EP02_01f and {other}/sub01/EP02_01f" in str(error.value)
    assert len(read("casme2", path, tree=second, on_error="skip").clips) == 7


@pytest.mark.parametrize("name", ["samm", "smic", "ckplus", "casme"])
def test_flat_folders_of_other_corpora(tmp_path: Path, name: str) -> None:
    path = fake(name, tmp_path)
    before = told(path, name)
    folders = {clip.frames[0].parent: clip for clip in read(name, path).clips}
    for folder, clip in folders.items():
        folder.rename(path / f"{clip.subject}_{clip.clip}")
    for tree in corpora()[name].paths:
        shutil.rmtree(path / tree.folder.split("/")[0], ignore_errors=True)
    assert told(path, name) == before


def test_what_is_not_found_is_listed(tmp_path: Path) -> None:
    path = fake("casme2", tmp_path)
    moved(path, lambda s, c, e: f"{e}/{c}.{s}")
    report = check(corpus_named("casme2"), path)
    assert not report.good
    facts = report.facts()
    assert (facts["with_frames"], facts["clips"]) == (0, 12)
    assert len(facts["other_folders"]) == 12
    assert "happiness/EP02_01f.sub01" in facts["other_folders"]
    (path / "CASME2-coding-20140508.xlsx").unlink()
    with pytest.raises(InputError, match=r"folders of images are called disgust/EP06_02_01\.sub01, .* and 7 more"):
        read("casme2", path)


def test_copies_are_not_joined(tmp_path: Path) -> None:
    """Two copies of the same clips side by side stay two; so do copies of another kind, however incomplete."""
    path = fake("casme2", tmp_path)
    assert {"CASME2_RAW_selected", "Cropped", "CASME2-RAW"} <= read("casme2", path).trees.keys()
    shutil.rmtree(path / "Cropped" / "sub01")
    shutil.rmtree(path / "CASME2_RAW_selected" / "sub02")
    reading = read("casme2", path, on_error="skip")
    assert reading.tree == "CASME2_RAW_selected"
    assert {clip.subject for clip in reading.clips} == {"sub01"}


def test_every_frame_can_be_opened(tmp_path: Path) -> None:
    path = fake("casme2", tmp_path)  # whose frames are no images
    assert check(corpus_named("casme2"), path).good
    report = miex.corpora.inspect("casme2", path, images=True)
    assert not report.good
    frames = {frame for clip in report.reading.clips for frame in clip.frames}
    assert len(report.damaged) == report.opened == len(frames)
    assert report.damaged[0].startswith(str(min(frames)))


# As the list of DFME's AU codes is laid out: no column called clip, L and R for sides, AUs that miex does not have.
DFME = """split,subject,stimulus,clip_no,part,emotion,self_reported,aus,au_combo_index,emo_index,name
train,sub0001,03a,01,01,anger,anger,4+L7,1,0,anger/sub0001-03a-01-anger-01-anger
train,sub0001,03a,02,01,happiness,anger,R12+6,2,4,happiness/sub0001-03a-02-happiness-01-anger
test,sub0002,04b,01,01,surprise,surprise,1+2+5,3,6,surprise/sub0002-04b-01-surprise-01-surprise
test,sub0002,04b,02,01,fear,fear,38+57,4,3,fear/sub0002-04b-02-fear-01-fear
"""


def test_au_codes_of_a_corpus_without_a_reader_are_a_source(tmp_path: Path) -> None:
    table = tmp_path / "dfme_au.csv"
    table.write_text(DFME)
    (source,) = named_sources(coded=[("dfme", table)])
    assert source.settings["clips"] == {"negative": 1, "positive": 1, "surprise": 1}
    assert source.settings["left_out"] == {"no AU of the 17 seen for sure": 1}
    drawn = source.sample(Label.positive, rng=np.random.default_rng(0))
    assert (drawn.corpus, drawn.subject) == ("dfme", "sub0001")
    assert drawn.clip == "happiness/sub0001-03a-02-happiness-01-anger"


LENT = Path(__file__).resolve().parents[3] / "shared" / "annotations" / "dfme" / "dfme_au.csv"


@pytest.mark.skipif(not LENT.is_file(), reason="the AU codes of DFME are not there")
def test_the_au_codes_of_dfme() -> None:
    reading = read("dfme", LENT)
    assert len(reading.clips) == 2629
    assert len({clip.subject for clip in reading.clips}) == 259
    assert not any("not understood" in note for clip in reading.clips for note in clip.notes)
    source = miex.sources.coded_mie(reading.clips)
    assert source.left_out == {"no AU of the 17 seen for sure": 37}
