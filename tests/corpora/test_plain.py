"""A corpus of one's own: what its table may say, what it is called, and which mistakes are named."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from miex.corpora.catalog import read
from miex.corpora.clip import Clip, Descent
from miex.corpora.index import write_index
from miex.corpora.readers.plain import Plain
from miex.errors import InputError, UsageError
from miex.labels import Label


def table(folder: Path, text: str, name: str = "clips.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def frames(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def places(clip: Clip) -> tuple[int | None, int | None, int | None]:
    return clip.onset, clip.apex, clip.offset


def test_three_columns_are_enough(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufeffclip,subject,emotion\n a ,006,Joy\nb,006,others\n")
    for read_from in (path, tmp_path):
        first, second = read("mine", read_from).clips
        assert (first.corpus, first.clip, first.subject, first.emotion) == ("mine", "a", "006", "happiness")
        assert (first.label, second.label, first.kind) == (Label.positive, None, "micro")
        assert (places(first), first.frames, first.descent) == ((None, None, None), (), None)


# frames


def test_numbers_are_those_of_the_files(tmp_path: Path) -> None:
    frames(tmp_path / "a", *(f"img{n}.tif" for n in range(8, 14)))
    frames(tmp_path / "b", *(f"{n}.webp" for n in range(4)))
    table(
        tmp_path, "subject,clip,emotion,onset,apex,offset,frames\n1,a,fear,9,11,13,a\n1,b,fear,0,2,3,b\n1,c,fear,,,,b\n"
    )
    a, b, c = read("mine", tmp_path).clips
    assert places(a) == (1, 3, 5)
    assert places(b) == (0, 2, 3)
    assert (places(c), c.frames) == ((None, None, None), b.frames)
    assert a.frames[3].name == "img11.tif"


@pytest.mark.parametrize(
    "header", ["subject,clip,emotion,onset,apex,offset", "subject,clip,emotion,onset,apex,offset,frames"]
)
def test_without_frames_the_first_has_number_1(tmp_path: Path, header: str) -> None:
    (clip,) = read("mine", table(tmp_path, f"{header}\n1,a,fear,1,3,5,\n")).clips
    assert (places(clip), clip.published) == ((0, 2, 4), (1, 3, 5))
    with pytest.raises(InputError, match="they count from 1"):
        read("mine", table(tmp_path, f"{header}\n1,a,fear,0,3,5,\n"))


def test_frames_may_be_a_single_image(tmp_path: Path) -> None:
    frames(tmp_path / "all", "007.png", "008.png")
    (clip,) = read("mine", table(tmp_path, "subject,clip,emotion,apex,frames\n1,a,fear,8,all/008.png\n")).clips
    assert (clip.frames, places(clip)) == ((tmp_path / "all" / "008.png",), (None, 0, None))
    for missing in ("all/009.png", "nowhere", "clips.csv"):
        with pytest.raises(InputError, match="row 2"):
            read("mine", table(tmp_path, f"subject,clip,emotion,apex,frames\n1,a,fear,8,{missing}\n"))


@pytest.mark.parametrize("apex", ["", "NaN", "/", "-1", "-1.0", "−1", "NA", "null", "#N/A"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_clip_lists_as_programs_save_them(tmp_path: Path, apex: str, sign: str) -> None:
    rows = ["Subject,Clip,Emotion,Onset,Apex,Offset", "s1,a,happiness,2.0,12.0,18.0", f"s1,b,disgust,2.0,{apex},18.0"]
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "clips.csv").write_bytes("\n".join(rows).replace(",", sign).encode(encoding))
        assert [places(clip) for clip in read("mine", tmp_path / "clips.csv").clips] == [(1, 11, 17), (1, None, 17)]


def test_paths_of_frames_from_another_system(tmp_path: Path) -> None:
    frames(tmp_path / "s1" / unicodedata.normalize("NFD", "Zoë"), "1.png", "2.png")
    for below in ("s1\\Zoë", "s1/Zoë", unicodedata.normalize("NFD", "s1\\Zoë")):
        (clip,) = read("mine", table(tmp_path, f"subject,clip,emotion,frames\n1,a,fear,{below}\n")).clips
        assert [path.name for path in clip.frames] == ["1.png", "2.png"]


def test_labels_are_words_or_numbers(tmp_path: Path) -> None:
    said = ("0", "1.0", "SURPRISE", "nan", "2")
    path = table(tmp_path, "subject,clip,emotion,label\n" + "".join(f"1,{i},x,{text}\n" for i, text in enumerate(said)))
    assert [clip.label for clip in read("mine", path).clips] == [0, 1, 2, None, 2]
    for wrong in ("3", "-1", "1.5"):
        with pytest.raises(InputError, match=r"(?s)row 2, column label.*0, 1, 2"):
            read("mine", table(tmp_path, f"subject,clip,emotion,label\n1,a,x,{wrong}\n"))


# what it is called

ROW = "subject,clip,emotion\n1,a,fear\n"


def test_two_corpora_of_ones_own_are_two(tmp_path: Path) -> None:
    table(tmp_path / "a", ROW)
    table(tmp_path / "b", ROW)
    clips = [*read("first lab", tmp_path / "a").clips, *read("second", tmp_path / "b").clips]
    assert [clip.corpus for clip in clips] == ["firstlab", "second"]  # as the leak guard spells names
    assert read("CASME II", tmp_path / "a").clips[0].corpus == "casme2"


def test_a_row_may_name_its_corpus(tmp_path: Path) -> None:
    path = table(tmp_path, "corpus,subject,clip,emotion\nSAMM,1,a,fear\n,1,a,fear\nsmic-e,1,a,fear\n")
    assert [clip.corpus for clip in read("mine", path).clips] == ["samm", "mine", "smic-e"]


def test_a_table_of_this_form_is_read_under_any_name(tmp_path: Path) -> None:
    assert read("samm", table(tmp_path, ROW, "people.csv")).clips[0].corpus == "samm"
    with pytest.raises(InputError, match="SAMM in"):  # a folder of that name is the corpus as its owners send it
        read("samm", tmp_path)


def test_what_is_no_corpus(tmp_path: Path) -> None:
    table(tmp_path, ROW, "people.csv")
    for nothing in (tmp_path, tmp_path / "absent", tmp_path / "absent.csv"):
        with pytest.raises(UsageError, match=r"(?s)corpus 'mine'.*or for a corpus of your own.*no such table"):
            read("mine", nothing)


# labels


def test_labels_come_from_the_mapping_or_the_table_or_the_caller(tmp_path: Path) -> None:
    path = table(tmp_path, "subject,clip,emotion,label\n1,a,happy,Surprise\n1,b,sad,\n1,c,calm,positive\n")
    assert [clip.label for clip in read("mine", path).clips] == [Label.surprise, None, Label.positive]
    own = Plain("mine", labels={"Calm": Label.negative, "sad": Label.negative})
    assert [clip.label for clip in own.read(path).clips] == [None, Label.negative, Label.negative]
    with pytest.raises(InputError, match=r"(?s)row 3, column label.*'glad'"):
        read("mine", table(tmp_path, "subject,clip,emotion,label\n1,a,happy,\n1,b,sad,glad\n"))


def test_an_emotion_of_ones_own_has_no_label(tmp_path: Path) -> None:
    calm, known = read("mine", table(tmp_path, "subject,clip,emotion\n1,a,Calm\n1,b,others\n")).clips
    assert (calm.emotion, calm.label, calm.notes) == ("calm", None, ("emotion without a label: 'calm'",))
    assert (known.label, known.notes) == (None, ())


def test_kinds(tmp_path: Path) -> None:
    path = table(tmp_path, "subject,clip,emotion,kind\n1,a,fear,\n1,b,fear,micro\n1,c,fear,Macro-expression\n")
    assert [clip.kind for clip in read("mine", path).clips] == ["micro", "micro", "macro"]
    assert [clip.kind for clip in Plain(kind="macro").read(path).clips] == ["macro", "micro", "macro"]


# synthetic clips


def test_the_descent_of_aus_is_kept(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "subject,clip,emotion,aus source,aus corpus,aus subject,aus clip\n"
        "f3a1,x,fear,real_mie,casme2,sub01,EP02\nf3a1,y,fear,expert,,,\nf3a1,z,fear,,,,\n",
    )
    clips = read("mine", path).clips
    assert [clip.descent for clip in clips] == [
        Descent("real_mie", "casme2", "sub01", "EP02"), Descent("expert"), None,
    ]  # fmt: skip
    write_index(clips, tmp_path / "again.csv")
    assert [clip.descent for clip in read("mine", tmp_path / "again.csv").clips] == [clip.descent for clip in clips]


# other names of columns, and mistakes


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = table(tmp_path, "person,subject,clip,emotion,first\n006,x,a,fear,3\n")
    (clip,) = Plain(columns={"subject": "person", "onset": "first"}).read(path).clips
    assert (clip.subject, clip.onset) == ("006", 2)
    with pytest.raises(InputError, match="last"):
        Plain(columns={"offset": "last"}).read(path)
    with pytest.raises(UsageError, match="column person"):
        Plain(columns={"person": "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,emotion\na,happy\n", "a header with subject, clip or name, emotion"),
        ("clip,subject,emotion\na,,happy\n", "row 2, column subject"),
        ("clip,subject,emotion\na,1,happy\na,1,sad\n", r"(?s)row 3, column clip.*each event once"),
        ("clip,subject,emotion,onset\na,1,happy,-3\n", r"(?s)row 2, column onset.*'-3'"),
        ("clip,subject,emotion,onset\na,1,happy,one\n", r"(?s)row 2, column onset.*'one'"),
        ("", "no row at all"),
    ],
)
def test_broken_tables_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read("mine", table(tmp_path, text))


def test_events_of_one_clip_are_apart_by_their_onset(tmp_path: Path) -> None:
    path = table(tmp_path, "clip,subject,emotion,onset\na,1,happy,3\na,1,sad,9\n")
    assert [clip.onset for clip in read("mine", path).clips] == [2, 8]
