"""Every corpus by its fake: what was made is what is read, quirks and all; and what users point readers at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miex.aus.vector import AU_INDEX
from miex.corpora.catalog import corpora, corpus_named, read
from miex.corpora.check import check
from miex.corpora.clip import Clip
from miex.corpora.fakes.write import TRUTH_FILE, Made, apex_vector, movement, write_fake
from miex.corpora.folders import number_of
from miex.corpora.index import write_index
from miex.errors import InputError, OutputError, UsageError
from tests.corpus_fixture import encode, render

NAMES = list(corpora())
SINGLE = [name for name in NAMES if name != "compmie"]
NO_APEX = {"smic", "smic-vis", "smic-nir", "smic-e", "smic-e-vis", "smic-e-nir", "casme3-c", "casme3-c-macro"}


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    root = tmp_path_factory.mktemp("fakes")
    return {name: write_fake(corpus, root / name, render, encode) for name, corpus in corpora().items()}


@pytest.mark.parametrize("name", SINGLE)
def test_what_was_made_is_read(fakes: dict[str, Made], name: str) -> None:
    made = fakes[name]
    reading = read(name, made.path)
    truth = {(t["subject"], t["clip"], t["onset"]): t for t in made.truth["clips"]}
    if name == "mmew-macro":  # single images: there is no onset
        truth = {(t["subject"], t["clip"], None): t for t in made.truth["clips"]}
    found = {(c.subject, c.clip, c.published[0]): c for c in reading.clips}
    assert found.keys() == truth.keys()
    for key, clip in found.items():
        true = truth[key]
        assert clip.corpus == name
        assert clip.emotion == true["emotion"]
        assert [number_of(frame.name) for frame in clip.frames] == true["numbers"]
        assert all(frame.is_file() for frame in clip.frames)
        odd = [note for note in clip.notes if note.startswith(("apex", "offset"))]
        for what in ("onset", "apex", "offset"):
            place = getattr(clip, what)
            if place is not None and not odd:
                assert number_of(clip.frames[place].name) == true[what]
        if clip.apex is None:
            assert name in NO_APEX or odd
        elif clip.onset is not None and not odd:  # the frame that moves most is the apex
            moved = [frame.read_bytes()[0] for frame in clip.frames]
            assert moved[clip.apex] == max(moved[clip.onset : (clip.offset or clip.apex) + 1]) > moved[clip.onset]
        if clip.aus and name not in ("casme3-c", "casme-sq"):  # whose tables say other AUs in places
            assert set(apex_vector_numbers(true)) <= {au.au for au in clip.aus} | {15, 23}
    assert not reading.unnamed
    assert not reading.problems


def apex_vector_numbers(true: dict[str, Any]) -> list[int]:
    return [au for au, i in AU_INDEX.items() if any(true["apex_aus"][i])]


@pytest.mark.parametrize("name", NAMES)
def test_fakes_hold_all_labels_and_several_subjects(fakes: dict[str, Made], name: str) -> None:
    clips = read(name, fakes[name].path).clips
    assert len({clip.subject for clip in clips}) >= 4
    labels = {clip.label for clip in clips if clip.label is not None}
    unlabeled = name in ("samm-long", "casme3-a-macro", "casme3-c-macro")
    assert len(labels) == (0 if unlabeled else 3)


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_unique(fakes: dict[str, Made], name: str) -> None:
    clips = read(name, fakes[name].path).clips
    assert len({(c.corpus, c.subject, c.clip, c.onset) for c in clips}) == len(clips)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(fakes: dict[str, Made], name: str, tmp_path: Path) -> None:
    again = write_fake(corpus_named(name), tmp_path / "again", render, encode)

    def content(root: Path) -> dict[str, bytes]:
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    assert content(again.path) == content(fakes[name].path)
    other = write_fake(corpus_named(name), tmp_path / "other", render, encode, seed=1)
    assert content(other.path) != content(fakes[name].path)


def test_the_truth_is_beside_and_no_reader_sees_it(fakes: dict[str, Made]) -> None:
    made = fakes["casme2"]
    truth = json.loads((made.path / TRUTH_FILE).read_text())
    assert truth == made.truth
    assert "Nobody made these expressions" in truth["statement"]
    with_truth = read("casme2", made.path).clips
    (made.path / TRUTH_FILE).rename(made.path.parent / "aside")
    try:
        assert read("casme2", made.path).clips == with_truth
    finally:
        (made.path.parent / "aside").rename(made.path / TRUTH_FILE)


def test_the_quirks_are_there_and_are_said(fakes: dict[str, Made]) -> None:
    notes = {name: [note for c in read(name, fakes[name].path).clips for note in c.notes] for name in SINGLE}
    assert "apex '/' is no frame number: taken as missing" in notes["casme2"]
    assert sum("does not lie after onset" in note for note in notes["casme2"]) == 1
    assert any("AUs not understood: 'soft focus'" in note for note in notes["samm"])
    assert sum("taken as missing" in note for note in notes["samm"]) == 2
    assert "apex '-1' is no frame number: taken as missing" in notes["samm-long"]
    assert any("offset '0' is no frame number: taken as missing" in note for note in notes["casme-sq"])
    assert sum("has no file" in note for note in notes["casme3-a"]) == 1
    names = {p.name for clip in read("samm", fakes["samm"].path).clips for p in clip.frames}
    assert {len(name.split("_")[1]) for name in names} == {len("0000.jpg"), len("00000.jpg")}
    assert not notes["mmew"]
    assert not notes["smic"]


def test_fakes_refuse_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="found: other files"):
        write_fake(corpus_named("smic"), tmp_path, render, encode)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    for subjects in (1, 9):
        with pytest.raises(UsageError, match="`subjects`"):
            write_fake(corpus_named("smic"), tmp_path / "x", render, encode, subjects=subjects)


def test_movement_rises_and_falls() -> None:
    moved = movement(range(20), 4, 9, 15)
    assert moved[:5].max() == 0
    assert moved[9] == 1
    assert moved[15:].max() == 0
    assert np.all(np.diff(moved[4:10]) > 0)
    assert np.all(np.diff(moved[9:16]) < 0)
    assert movement(range(12), 0, 11, 11)[-1] == 1


def test_aus_of_the_table_move() -> None:
    vector = apex_vector("L12C+R4+ref(9)", np.random.Generator(np.random.PCG64(0)))
    assert vector[AU_INDEX[12]].tolist() == pytest.approx([0.6, 0])
    assert vector[AU_INDEX[4], 0] == 0
    assert 0.25 <= vector[AU_INDEX[4], 1] <= 0.5
    assert np.count_nonzero(vector) == 2


# what a user may point at


def test_raw_and_cropped_trees(fakes: dict[str, Made]) -> None:
    path = fakes["casme2"].path
    assert read("casme2", path).tree == "CASME2_RAW_selected"
    cropped = read("casme2", path, tree="cropped")
    assert cropped.tree == "Cropped"
    assert all(clip.frames[0].name.startswith("reg_img") for clip in cropped.clips)
    assert [(c.onset, c.apex, c.offset) for c in cropped.clips] == [
        (c.onset, c.apex, c.offset) for c in read("casme2", path).clips
    ]
    with pytest.raises(UsageError, match="`tree` 'flow'"):
        read("casme2", path, tree="flow")
    assert read("oulu-casia", fakes["oulu-casia"].path).tree == "OriginalImg/VL/Strong"
    assert read("oulu-casia", fakes["oulu-casia"].path, tree="NI/Dark").clips[0].frames[0].is_file()


def test_pointing_into_the_tree(fakes: dict[str, Made]) -> None:
    """At the folder of the subjects, with the table beside it; at one subject; at the folder above."""
    path = fakes["casme2"].path
    whole = read("casme2", path, tree="cropped").clips
    assert read("casme2", path / "Cropped").clips == whole
    assert read("casme2", path.parent / "casme2").clips == read("casme2", path).clips
    one = read("smic", fakes["smic"].path / "SMIC_all_raw" / "HS" / "s1").clips
    assert {clip.subject for clip in one} == {"s1"}


def test_the_table_alone(fakes: dict[str, Made]) -> None:
    path = fakes["casme2"].path
    table = path / "CASME2-coding-20140508.xlsx"
    alone = read("casme2", table).clips
    assert not any(clip.frames for clip in alone)
    for clip, framed in zip(alone, read("casme2", path).clips, strict=True):
        assert (clip.subject, clip.clip, clip.emotion, clip.published) == (
            framed.subject, framed.clip, framed.emotion, framed.published
        )  # fmt: skip
        assert clip.onset == clip.published[0] - 1 if clip.published[0] else False


def test_renamed_tables_are_found_by_content(fakes: dict[str, Made], tmp_path: Path) -> None:
    table = fakes["casme2"].path / "CASME2-coding-20140508.xlsx"
    (tmp_path / "labels of my own.xlsx").write_bytes(table.read_bytes())
    assert len(read("casme2", tmp_path).clips) == 24
    (tmp_path / "labels of my own.xlsx").unlink()
    with pytest.raises(InputError) as error:
        read("casme2", tmp_path)
    assert "casme.psych.ac.cn" in str(error.value)  # how to ask for it
    assert "miex corpora fake casme2" in str(error.value)
    assert "CASME2-coding-20140508.xlsx" in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_there_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError) as error:
            read(name, path)
        if name != "compmie":
            assert corpus_named(name).licence in str(error.value)
        assert str(path) in str(error.value)


def test_gaps_and_lost_frames(tmp_path: Path) -> None:
    path = write_fake(corpus_named("samm"), tmp_path / "samm", render, encode).path
    clip = read("samm", path).clips[0]
    assert clip.apex is not None
    assert clip.offset is not None
    clip.frames[clip.apex].unlink()
    clip.frames[clip.offset].unlink()
    again = read("samm", path).clips[0]
    assert again.published == clip.published
    assert again.apex == clip.apex - 1  # of two neighbors the earlier
    assert again.frames[again.offset] == clip.frames[clip.offset - 1]
    assert sum("has no file" in note for note in again.notes) == 2
    for frame in again.frames[1:]:
        frame.unlink()
    with pytest.raises(InputError, match="at least two"):
        read("samm", path)
    again.frames[0].unlink()
    again.frames[0].parent.rmdir()
    with pytest.raises(InputError, match="leave such rows out") as error:
        read("samm", path)
    assert "row 15" in str(error.value)  # the first below the header in row 14
    assert len(read("samm", path, on_error="skip").clips) == 31


def test_renumbered_frames_are_refused(tmp_path: Path) -> None:
    """Annotation indices are file numbers: crops that somebody numbered from 1 do not fit."""
    path = write_fake(corpus_named("smic-e"), tmp_path / "x", render, encode).path
    clip = read("smic-e", path).clips[1]
    for i, frame in enumerate(clip.frames, start=1):
        frame.rename(frame.with_name(f"image{i:06d}.jpg"))
    with pytest.raises(InputError, match="unpack the original files again"):
        read("smic-e", path)


def test_frames_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "Micro_Expression" / "happiness" / "S01-01-001"
    folder.mkdir(parents=True)
    for n in (1, 2, 9, 10, 11, 100):
        (folder / f"{n}.jpg").write_bytes(b"x")
    for stray in ("cover.jpg", "Thumbs.db", "._1.jpg", "2.txt", "10.jpg.bak"):
        (folder / stray).write_bytes(b"x")
    (tmp_path / "MMEW_Micro_Exp.csv").write_text(
        "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion,remarks\n"
        "1,S01-01-001,1,10,100,12,happiness,\n"
    )
    (clip,) = read("mmew", tmp_path).clips
    assert [frame.name for frame in clip.frames] == ["1.jpg", "2.jpg", "9.jpg", "10.jpg", "11.jpg", "100.jpg"]
    assert (clip.onset, clip.apex, clip.offset) == (0, 3, 5)


@pytest.mark.parametrize("folder", ["others", "repression", "other", "OTHERS"])
@pytest.mark.parametrize("above", ["", "S01/"])
def test_spellings_of_folders(tmp_path: Path, folder: str, above: str) -> None:
    place = tmp_path / "MMEW_Final" / "Micro_Expression" / above / folder / "S01-04-001"
    place.mkdir(parents=True)
    for n in range(1, 6):
        (place / f"{n}.JPG").write_bytes(b"x")
    (tmp_path / "MMEW_Micro_Exp.csv").write_text(
        "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion\n"
        "1,S01-04-001,1,3,5,14,others\n"
    )
    (clip,) = read("mmew", tmp_path).clips
    assert (clip.emotion, len(clip.frames), clip.label) == ("others", 5, None)


@pytest.mark.parametrize("name", NAMES)
def test_an_index_reads_back_as_what_it_is(fakes: dict[str, Made], name: str, tmp_path: Path) -> None:
    clips = read(name, fakes[name].path).clips
    assert write_index(clips, tmp_path / "clips.csv") == len(clips)
    back = read("mine", tmp_path)
    assert back.corpus == "mine"
    assert [told(clip) for clip in back.clips] == [told(clip) for clip in clips]
    assert [clip.published for clip in back.clips] == [clip.published for clip in clips]
    assert {clip.corpus for clip in back.clips} == ({"casme2", "samm", "smic"} if name == "compmie" else {name})
    assert [told(clip) for clip in read(name, tmp_path / "clips.csv").clips] == [told(clip) for clip in clips]


@pytest.mark.parametrize("name", ["casme2", "samm"])  # whose frames count from 1 and from 0
def test_an_index_of_a_table_alone_reads_back(fakes: dict[str, Made], name: str, tmp_path: Path) -> None:
    clips = read(name, corpus_named(name).find_tables(fakes[name].path)[0]).clips
    assert not any(clip.frames for clip in clips)
    write_index(clips, tmp_path / "clips.csv")
    assert [told(clip) for clip in read("mine", tmp_path).clips] == [told(clip) for clip in clips]


def told(clip: Clip) -> tuple[Any, ...]:
    """What a clip is, wherever it was read."""
    places = clip.onset, clip.apex, clip.offset
    known = clip.corpus, clip.subject, clip.clip, clip.emotion, clip.label, clip.kind, clip.objective, clip.descent
    return *known, places, frozenset(clip.aus), [frame.resolve() for frame in clip.frames]


def test_indexes_are_csv_or_parquet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        write_index((), tmp_path / "index.txt")


def test_plain_names_the_folder_that_is_missing(fakes: dict[str, Made], tmp_path: Path) -> None:
    text = (fakes["plain"].path / "clips.csv").read_text()
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(InputError, match="row 2"):
        read("plain", tmp_path)


def test_ckplus_needs_its_labels(tmp_path: Path) -> None:
    path = write_fake(corpus_named("ckplus"), tmp_path / "x", render, encode).path
    clips = read("ckplus", path).clips
    assert sum(clip.emotion == "" for clip in clips) == 4
    assert clips[0].aus[0].intensity == "C"
    label = next((path / "Emotion" / "S005" / "001").glob("*.txt"))
    for text in ("nine", "9.0", "-1", "1e400", "2.5", ""):
        label.write_text(text)
        with pytest.raises(InputError) as error:
            read("ckplus", path)
        assert str(label) in str(error.value)
    (path / "Emotion").rename(path / "Gone")
    for file in (path / "Gone").rglob("*.txt"):
        file.unlink()
    with pytest.raises(InputError, match=r"Emotion_labels\.zip"):
        read("ckplus", path)
    (path / "FACS").rename(path / "FACS_labels")


def test_archives_may_add_a_level(tmp_path: Path) -> None:
    path = write_fake(corpus_named("ckplus"), tmp_path / "x", render, encode).path
    before = read("ckplus", path).clips
    (path / "Emotion_labels").mkdir()
    (path / "Emotion").rename(path / "Emotion_labels" / "Emotion")
    (path / "extended").mkdir()
    (path / "cohn-kanade-images").rename(path / "extended" / "cohn-kanade-images")
    after = read("ckplus", path).clips
    assert [(c.subject, c.clip, c.emotion, c.onset, c.apex) for c in after] == [
        (c.subject, c.clip, c.emotion, c.onset, c.apex) for c in before
    ]


def test_check_says_what_to_do(fakes: dict[str, Made], tmp_path: Path) -> None:
    corpus = corpus_named("samm")
    path = write_fake(corpus, tmp_path / "samm", render, encode).path
    (path / "SAMM.zip").touch()
    (path / "SAMM" / "006" / "006_9_9").mkdir()
    (path / "SAMM" / "006" / "006_9_9" / "006_0001.jpg").touch()
    for frame in read("samm", path).clips[4].frames:
        frame.unlink()
    report = check(corpus, path)
    facts = report.facts()
    assert facts["clips"] == 31
    assert facts["unnamed_folders"] == ["SAMM/006/006_9_9"]
    assert facts["packed"] == [str(path / "SAMM.zip")]
    assert len(facts["problems"]) == 1
    assert "row 19" in facts["problems"][0]
    assert not report.good
    json.dumps(facts)


@pytest.mark.parametrize("on_error", ["ignore", ""])
def test_options_are_checked(fakes: dict[str, Made], on_error: str) -> None:
    path = fakes["samm"].path
    with pytest.raises(UsageError, match="on_error"):
        read("samm", path, on_error=on_error)
    with pytest.raises(UsageError, match="correction 'x'"):
        read("samm", path, without=["x"])
    with pytest.raises(UsageError, match="`mapping` 'x'"):
        read("samm", path, mapping="x")
    with pytest.raises(UsageError, match="negative, positive and surprise"):
        read("samm", path, mapping="samm-5")
    with pytest.raises(UsageError, match="mapping mie-x-code for samm"):
        read("samm", path, mapping="mie-x-code")
    with pytest.raises(UsageError, match="corpus 'sam'"):
        read("sam", path)


def test_links_are_followed_and_loops_end(fakes: dict[str, Made], tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(fakes["smic"].path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(read("smic", tmp_path).clips) == 24


def test_another_corpus_table_is_not_taken(fakes: dict[str, Made]) -> None:
    """The tables of CASME II and MMEW have the same columns."""
    with pytest.raises(InputError, match="this is CASME II's"):
        read("mmew", fakes["casme2"].path)
