"""The real annotation tables, where they lie beside the project: counts, and the lists of others row for row.

Nothing of them is in the project; without them these tests are skipped.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tools.annotation_tables import TABLES, left_out, read_one

from miex.corpora.catalog import corpus_named, read
from miex.corpora.clip import Clip
from miex.corpora.corpus import Reading
from miex.corpora.fakes.write import fake_frames_of
from miex.corpora.folders import number_of
from miex.corpora.mappings import mapping_named
from miex.corpora.readers.casme_sq import SUBJECTS, VIDEOS
from miex.corpora.readers.compmie import GROUND_TRUTH, ground_truth_key, read_ground_truth
from miex.dataset.frames import encode_image
from miex.errors import InputError, UsageError
from miex.labels import Label
from miex.tables.table import read_sheets

ANNOTATIONS = Path(__file__).resolve().parents[3] / "shared" / "annotations"
pytestmark = pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="the annotation tables are not there")


def labels(reading: Reading) -> tuple[int, ...]:
    """Negative, positive, surprise."""
    return tuple(sum(clip.label == label for clip in reading.clips) for label in Label)


def emotions(clips: tuple[Clip, ...]) -> dict[str, int]:
    return dict(Counter(clip.emotion for clip in clips))


# rows, subjects, (negative, positive, surprise), rows without an apex, corrected rows
COUNTS = {
    ("casme/CASME.xls", "casme"): (189, 18, (55, 7, 20), 0, 0),
    ("casme2/CASME2-coding-20140508.xlsx", "casme2"): (255, 26, (90, 32, 25), 2, 0),
    ("casme2/CASME2-coding-20190701.xlsx", "casme2"): (255, 26, (90, 32, 28), 2, 0),
    ("casme2/variants/QqXuyujie_CASME2-coding-20140508.xlsx", "casme2"): (255, 26, (90, 32, 25), 1, 0),
    ("samm/SAMM_Micro_FACS_Codes_v2.xlsx", "samm"): (159, 29, (92, 26, 15), 0, 2),
    ("samm/variants/davidnvq_SAMM_Micro_FACS_Codes_v2.xlsx", "samm"): (159, 29, (92, 26, 15), 0, 0),
    ("samm/variants/SAMM.xlsx", "samm"): (159, 29, (92, 26, 15), 0, 0),
    ("samm/SAMM_LongVideos_V2_Release.csv", "samm-long"): (502, 30, (0, 0, 0), 6, 0),
    ("samm/SAMM_LV_code_final.xlsx", "samm-long"): (502, 30, (0, 0, 0), 6, 0),
    ("smic/HS_cropped.csv", "smic"): (164, 16, (70, 51, 43), 164, 0),
    ("smic/SMIC-HS-E_annotation_orig.xlsx", "smic-e"): (167, 16, (72, 51, 44), 167, 2),
    ("smic/SMIC-HS-E_annotation_orig.xlsx", "smic-e-vis"): (76, 8, (26, 28, 22), 76, 2),
    ("smic/SMIC-HS-E_annotation.xlsx", "smic-e"): (166, 16, (71, 51, 44), 166, 2),
    ("smic/SMIC-HS-E_annotation.xlsx", "smic-e-vis"): (76, 8, (26, 28, 22), 76, 2),
    ("mmew/MMEW_Micro_Exp.csv", "mmew"): (300, 30, (109, 36, 89), 0, 0),
    ("casme_sq/casme_sq_code_final.xlsx", "casme-sq"): (357, 22, (126, 124, 25), 4, 0),
    ("casme_sq/CAS(ME)^2code_final(Updated).csv", "casme-sq"): (357, 22, (126, 124, 25), 4, 0),
    ("casme_sq/variants/CAS(ME)^2.xlsx", "casme-sq"): (357, 22, (126, 124, 25), 4, 0),
    ("casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "casme3-a"): (860, 94, (457, 55, 187), 55, 7),
    ("casme3/cas(me)3_part_A_ME_label_JpgIndex_v1.xls", "casme3-a"): (921, 95, (496, 60, 199), 62, 3),
    ("casme3/CAS(ME)3_part_A_v2.xls", "casme3-a-macro"): (3346, 98, (0, 0, 0), 0, 1),
    ("casme3/CAS(ME)3_part_A_v1.xls", "casme3-a-macro"): (3284, 98, (0, 0, 0), 0, 1),
    ("casme3/CAS(ME)3_part_C_ME.xlsx", "casme3-c"): (165, 30, (99, 16, 30), 165, 0),
    ("casme3/CAS(ME)3_part_C.xls", "casme3-c-macro"): (303, 28, (0, 0, 0), 303, 0),
    ("ckplus/CK+_10-fold_sample_IDascendorder_step10.txt", "ckplus"): (327, 118, (175, 69, 83), 327, 0),
}


@pytest.mark.parametrize(("file", "corpus"), COUNTS)
def test_every_table_alone_and_over_the_frames_that_it_names(file: str, corpus: str) -> None:
    found = read_one(ANNOTATIONS, file, corpus, neighbors=0)
    reading = found.alone
    without_apex = sum(clip.apex is None for clip in reading.clips)
    subjects = len({clip.subject for clip in reading.clips})
    counts = len(reading.clips), subjects, labels(reading), without_apex, len(reading.corrections)
    assert counts == COUNTS[file, corpus]
    assert len(reading.problems) == (1 if file.endswith("part_A_v1.xls") else 0)  # one row stands twice there
    framed = found.framed
    assert len(framed.clips) == len(reading.clips)
    assert labels(framed) == labels(reading)
    for clip, alone in zip(framed.clips, reading.clips, strict=True):
        for place, number in zip((clip.onset, clip.apex, clip.offset), clip.published, strict=True):
            assert (place is None) == (number is None), clip.source
            if place is not None:
                assert number_of(clip.frames[place].name) == number
        if corpus not in ("ckplus", "smic"):  # whose rows come from folders, in another order
            assert (clip.subject, clip.clip, clip.emotion, clip.published, clip.aus) == (
                alone.subject, alone.clip, alone.emotion, alone.published, alone.aus
            )  # fmt: skip


def test_no_file_is_overlooked() -> None:
    assert [file for file, why in left_out(ANNOTATIONS) if not why] == []
    assert {(file, name) for file, names in TABLES.items() for name in names} == COUNTS.keys()


@pytest.mark.parametrize(
    ("corpus", "file", "counts"),
    [
        ("casme", "casme/CASME.xls", {"tense": 68, "disgust": 45, "repression": 39, "surprise": 20, "happiness": 7,
                                      "sadness": 6, "contempt": 2, "fear": 2}),
        ("casme2", "casme2/CASME2-coding-20140508.xlsx", {"others": 99, "disgust": 63, "happiness": 32,
                                                          "repression": 27, "surprise": 25, "sadness": 7, "fear": 2}),
        ("samm", "samm/SAMM_Micro_FACS_Codes_v2.xlsx", {"anger": 57, "happiness": 26, "others": 26, "surprise": 15,
                                                        "contempt": 12, "disgust": 9, "fear": 8, "sadness": 6}),
        ("mmew", "mmew/MMEW_Micro_Exp.csv", {"surprise": 89, "disgust": 72, "others": 66, "happiness": 36, "fear": 16,
                                             "sadness": 13, "anger": 8}),
        ("casme3-a", "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
         {"disgust": 250, "surprise": 187, "others": 161, "fear": 86, "anger": 64, "sadness": 57, "happiness": 55}),
    ],
)  # fmt: skip
def test_emotions(corpus: str, file: str, counts: dict[str, int]) -> None:
    assert emotions(read(corpus, ANNOTATIONS / file).clips) == counts


@pytest.fixture(scope="module")
def as_published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotations without other people's copies of the same tables: two that differ are refused."""
    return shutil.copytree(
        ANNOTATIONS, tmp_path_factory.mktemp("published") / "annotations", ignore=shutil.ignore_patterns("variants")
    )


def test_two_tables_that_differ_are_refused_in_the_composite_too() -> None:
    with pytest.raises(UsageError, match=r"table of CASME II(.|\n)*which differ(.|\n)*move away"):
        read("compmie", ANNOTATIONS)


def test_the_composite_row_for_row(as_published: Path) -> None:
    """442 clips, 68 subjects, each with the label of the ground-truth list; apexes as in the released file lists."""
    reading = read("compmie", as_published)
    assert len(reading.clips) == 442
    assert labels(reading) == (250, 109, 83)
    assert len({(clip.corpus, clip.subject) for clip in reading.clips}) == 68
    truth = read_ground_truth(ANNOTATIONS / "megc2019" / GROUND_TRUTH)
    assert {ground_truth_key(clip): int(clip.label or 0) for clip in reading.clips} == truth
    by_part = {part: Counter(c.label for c in reading.clips if c.corpus == part) for part in ("casme2", "samm", "smic")}
    assert [by_part["casme2"][label] for label in Label] == [88, 32, 25]
    assert [by_part["samm"][label] for label in Label] == [92, 26, 15]
    assert [by_part["smic"][label] for label in Label] == [70, 51, 43]
    with (ANNOTATIONS / "megc2019" / "compmie_442_merged.csv").open(newline="") as file:
        merged = {tuple(row["gt_key"].split("|")): row for row in csv.DictReader(file)}
    for clip in reading.clips:
        row = merged[ground_truth_key(clip)]
        assert clip.published[0] == int(row["onset"])
        assert clip.published[2] == int(row["offset"])
        if clip.corpus != "smic":
            assert clip.published[1] == int(row["apex_index_released"])


def test_the_composite_over_frames(tmp_path: Path) -> None:
    for name, file in (
        ("casme2", "casme2/CASME2-coding-20140508.xlsx"),
        ("samm", "samm/SAMM_Micro_FACS_Codes_v2.xlsx"),
        ("smic", "smic/HS_cropped.csv"),
    ):
        fake_frames_of(corpus_named(name), tmp_path / name, ANNOTATIONS / file, encode_image, neighbors=0)
    reading = read("compmie", tmp_path, table=ANNOTATIONS / "megc2019" / GROUND_TRUTH)
    assert len(reading.clips) == 442
    assert all(clip.frames for clip in reading.clips)


def test_the_composite_says_where_it_differs(as_published: Path, tmp_path: Path) -> None:
    text = (ANNOTATIONS / "megc2019" / GROUND_TRUTH).read_text()
    (tmp_path / GROUND_TRUTH).write_text(text.replace("samm,6,006_1_2,0", "samm,6,006_1_2,2"))
    with pytest.raises(InputError, match="1 differences, the first: samm/6/006_1_2 has label 0"):
        read("compmie", as_published, table=tmp_path / GROUND_TRUTH)


def test_finer_classes_agree_with_the_released_lists() -> None:
    mmew = read("mmew", ANNOTATIONS / "mmew" / "MMEW_Micro_Exp.csv").clips
    with (ANNOTATIONS / "mmew" / "mmew_6class_234.csv").open(newline="") as file:
        listed = {row["Filename"]: row for row in csv.DictReader(file)}
    chosen = mapping_named("mmew-6").select(mmew)
    assert len(chosen) == 234
    assert {clip.clip: code for clip, code in chosen} == {n: int(row["label_6class"]) for n, row in listed.items()}
    assert {clip.clip: int(clip.label or 0) for clip, _ in chosen} == {
        name: int(row["label_3class"]) for name, row in listed.items()
    }
    samm = read("samm", ANNOTATIONS / "samm" / "SAMM_Micro_FACS_Codes_v2.xlsx").clips
    with (ANNOTATIONS / "samm" / "samm_5class_subsets.csv").open(newline="") as file:
        subsets = list(csv.DictReader(file))
    for mapping, column, n, people in (
        ("samm-5", "label_5class_objective", 72, 21),
        ("samm-5-emotion", "label_5class_emotion", 115, 28),
    ):
        chosen = mapping_named(mapping).select(samm)
        assert len(chosen) == n
        assert len({clip.subject for clip, _ in chosen}) == people
        assert {clip.clip: code for clip, code in chosen} == {
            row["Filename"]: int(row[column]) for row in subsets if row[column]
        }
    apexes = {row["Filename"]: int(row["apex_corrected"]) for row in subsets}
    assert apexes.pop("028_4_1") == 1113  # nobody knows that one; the released file list has 1120, as we
    assert {clip.clip: clip.published[1] for clip in samm if clip.clip in apexes} == apexes


def test_ckplus_as_it_should_be_and_as_the_released_code_has_it() -> None:
    path = ANNOTATIONS / "ckplus" / "CK+_10-fold_sample_IDascendorder_step10.txt"
    assert labels(read("ckplus", path)) == (175, 69, 83)
    assert labels(read("ckplus", path, mapping="mie-x-code")) == (147, 97, 83)


def test_corrections_can_be_switched_off() -> None:
    samm = ANNOTATIONS / "samm" / "SAMM_Micro_FACS_Codes_v2.xlsx"
    by_name = {clip.clip: clip for clip in read("samm", samm, without=["all"]).clips}
    assert by_name["028_4_1"].apex is None
    assert by_name["032_3_1"].apex is None
    by_name = {clip.clip: clip for clip in read("samm", samm, without=["samm-028_4_1-apex"]).clips}
    assert by_name["028_4_1"].apex is None
    assert by_name["032_3_1"].published[1] == 4930
    casme3 = ANNOTATIONS / "casme3" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    with pytest.raises(InputError, match="row 751"):  # onset after the offset
        read("casme3-a", casme3, without=["all"])
    without = read("casme3-a", casme3, without=["all"], on_error="collect")
    assert (len(without.clips), len(without.problems)) == (858, 2)
    assert "row 752" in str(without.problems[1])  # frame 0, where frames count from 1


def test_corrected_values_agree_with_the_owners_later_table() -> None:
    """Corrections of CAS(ME)³ part A name its event table as their source."""
    events = {
        tuple(cells[:2]) + tuple(cells[5:6]): cells
        for _, cells in read_sheets(ANNOTATIONS / "casme3" / "CAS(ME)3_part_A_v2.xls")[0].rows
        if cells[6] == "Micro-expression" and cells[0] in ("spNO.149", "spNO.216", "spNO.40")
    }
    clips = read("casme3-a", ANNOTATIONS / "casme3").clips
    corrected = [clip for clip in clips if any("correction casme3" in note for note in clip.notes)]
    assert len(corrected) == 6
    checked = 0
    for clip in corrected:
        if clip.subject in ("spNO.149", "spNO.40") or (clip.subject, clip.clip) == ("spNO.216", "d"):
            code = {"149": "T28+14", "216": "38"}.get(clip.subject[5:]) or ("18" if clip.published[0] == 1812 else "14")
            row = events[clip.subject, clip.clip, code]
            assert clip.published == (int(row[2]), int(row[3]), int(row[4]))
            checked += 1
    assert checked == 4


def test_names_of_casme_sq_are_those_of_its_sheets() -> None:
    sheets = {sheet.name: sheet for sheet in read_sheets(ANNOTATIONS / "casme_sq" / "casme_sq_code_final.xlsx")}
    assert {(cells[1], int(cells[2])) for _, cells in sheets["naming rule1"].rows} == {
        (subject, i) for i, subject in enumerate(SUBJECTS, start=1)
    }
    assert {cells[1]: f"{int(cells[0]):04d}" for _, cells in sheets["naming rule2"].rows} == VIDEOS


def test_coded_aus_are_understood() -> None:
    """In the tables with emotions one cell of SAMM holds words; CASME II of 2014 has five that say only "?"."""
    odd = {}
    for file, names in TABLES.items():
        for name in names:
            if name != "samm-long":
                clips = read(name, ANNOTATIONS / file, on_error="skip").clips
                odd[file] = [n for clip in clips for n in clip.notes if n.startswith("AUs not understood")]
    assert odd.pop("casme2/CASME2-coding-20140508.xlsx") == ["AUs not understood: '?'"] * 5
    assert odd.pop("casme2/variants/QqXuyujie_CASME2-coding-20140508.xlsx") == ["AUs not understood: '?'"] * 5
    for file, notes in odd.items():
        assert notes == (["AUs not understood: 'soft focus'"] if file.startswith("samm") else []), file


def test_timing_is_as_the_annotations_say() -> None:
    """What the docstring of sources.timing states: seconds from onset to apex and to offset, shares, correlations."""
    tables = {
        "casme2": "casme2/CASME2-coding-20140508.xlsx",
        "samm": "samm/SAMM_Micro_FACS_Codes_v2.xlsx",
        "mmew": "mmew",
    }
    found = {}
    for name, fps in (("casme2", 200), ("samm", 200), ("mmew", 90)):
        clips = read(name, ANNOTATIONS / tables[name], on_error="skip").clips
        whole = [(c.onset, c.apex, c.offset) for c in clips if None not in (c.onset, c.apex, c.offset)]
        onset, apex, offset = np.array(whole, np.int64).T
        rise, fall = apex - onset, offset - apex
        found[name] = (
            len(whole), round(float(np.median(rise)) / fps, 2), round(float(np.median(rise + fall)) / fps, 3),
            round(100 * float((rise < fall).mean())), round(float(np.corrcoef(rise, fall)[0, 1]), 2),
        )  # fmt: skip
    assert found == {
        "casme2": (253, 0.15, 0.31, 42, 0.01), "samm": (159, 0.16, 0.385, 61, -0.28),
        "mmew": (300, 0.14, 0.411, 81, -0.11),
    }  # fmt: skip
