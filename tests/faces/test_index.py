"""From a folder of photos to an index: odd names, odd links, odd files, every reason, licences, the cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

import miex
from miex.errors import InputError, UsageError
from miex.faces.align import align_photo
from miex.faces.credits import FaceCSV, csv_beside
from miex.faces.crop import CropOptions, eye_centers
from miex.faces.index import INDEX_SCHEMA, Quality, index_photos, passed_over, quality_of, write_index, write_refused
from miex.faces.mesh import OVAL
from miex.faces.photos import list_photos, look_through, photos_root, write_list
from miex.images import Image
from tests.support import Shuffled, png

posix = pytest.mark.skipif(os.name != "posix", reason="names and links of POSIX")


def no_model() -> Path:
    raise AssertionError("the detector was called")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of landmarks for one test."""
    monkeypatch.setenv("MIEX_CACHE", str(tmp_path / "own cache"))
    return tmp_path / "own cache"


@pytest.fixture
def index(model: Path) -> Callable[..., list[dict[str, Any]]]:
    """Index a folder; rows as dictionaries."""
    return lambda faces, **more: index_photos(faces, **{"model": lambda: model, **more}).to_pylist()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def save(picture: Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(picture).save(path)


NAMES = ["a b.png", 'it\'s "quoted".png', "😀/émoji.PNG", "deep/er/x.y.png", "UPPER.JPG", "#.png", " .png", "-x.webp"]
POSIX_NAMES = ["two\nlines.png", "back\\slash.jpeg", "star*?.png"]


@posix
def test_any_name(photos: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]]) -> None:
    names = sorted(NAMES + POSIX_NAMES)
    for name in [*names, "notes.txt", "x.zip", ".hidden.png", ".folder/x.png", "png", "jpg/none.doc"]:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(face_photo, photos / name)
    assert list_photos(photos) == names
    rows = index(photos)
    assert [row["path"] for row in rows] == names
    assert rows[0]["reason"] == ""
    assert {row["reason"] for row in rows[1:]} == {"duplicate"}
    assert rows[1]["detail"] == f"same bytes as {names[0]}"


@posix
def test_a_name_that_is_no_text_is_refused_and_the_rest_goes_on(
    photos: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]]
) -> None:
    shutil.copy(face_photo, photos / "good.png")
    shutil.copy(face_photo, os.fsencode(photos) + b"/latin-\xe9.png")
    rows = {row["path"]: row for row in index(photos)}
    assert rows["good.png"]["reason"] == ""
    assert (rows["latin-?.png"]["reason"], rows["latin-?.png"]["detail"]) == ("unreadable", "its name is not UTF-8")


@posix
def test_links(photos: Path, face_photo: Path, tmp_path: Path, index: Callable[..., list[dict[str, Any]]]) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(face_photo, tmp_path / "elsewhere" / "face.png")
    (photos / "a").mkdir()
    (photos / "a" / "up").symlink_to(photos)  # a loop
    (photos / "far").symlink_to(tmp_path / "elsewhere")
    (photos / "far again").symlink_to(tmp_path / "elsewhere")
    (photos / "dangling.png").symlink_to(tmp_path / "absent.png")
    (photos / "itself.png").symlink_to(photos / "itself.png")
    (photos / "link.png").symlink_to(face_photo)
    rows = index(photos)
    assert [(row["path"], row["reason"]) for row in rows] == [
        ("dangling.png", "unreadable"),
        ("far/face.png", ""),
        ("itself.png", "unreadable"),
        ("link.png", "duplicate"),
    ]
    assert rows[0]["detail"] == "No such file or directory"
    assert (rows[0]["sha256"], rows[0]["identity"], rows[0]["width"]) == ("", "", 0)


def test_every_reason(
    photos: Path, face_photo: Path, astronaut: Image, index: Callable[..., list[dict[str, Any]]]
) -> None:
    face = astronaut[20:240, 100:350]
    save(face, photos / "good.png")
    save(np.full((300, 300, 3), 90, np.uint8), photos / "wall.png")
    save(np.asarray(PillowImage.fromarray(face).resize((140, 123))), photos / "small.png")
    save(astronaut[:, 205:], photos / "half.png")
    save(astronaut[90:], photos / "cut above.png")
    save(astronaut[:, :250], photos / "cut right.png")
    save(astronaut[:145], photos / "cut below.png")
    shutil.copy(photos / "good.png", photos / "more.png")
    (photos / "broken.png").write_bytes((photos / "good.png").read_bytes()[:5000])
    (photos / "empty.jpg").touch()
    (photos / "letter.jpg").write_text("dear mother")
    (photos / "huge.png").write_bytes(png(20000, 20000, 8, 2, b""))
    save(np.ascontiguousarray(face[:, ::-1]), photos / "zz looks up.png")
    rows = {row["path"]: row for row in index(photos)}
    assert {path: row["reason"] for path, row in rows.items()} == {
        "good.png": "",
        "wall.png": "no face",
        "small.png": "too small",
        "half.png": "cut off",
        "cut above.png": "cut off",
        "cut right.png": "cut off",
        "cut below.png": "cut off",
        "more.png": "duplicate",
        "broken.png": "unreadable",
        "empty.jpg": "unreadable",
        "letter.jpg": "unreadable",
        "huge.png": "too large",
        "zz looks up.png": "",
    }
    assert rows["small.png"]["detail"] == "23 px between the eyes, at least 30"
    assert "of the face is outside the photo" in rows["half.png"]["detail"]
    good = rows["good.png"]
    digest = hashlib.sha256((photos / "good.png").read_bytes()).hexdigest()
    assert (good["sha256"], good["identity"]) == (digest, digest[:16])
    assert (good["width"], good["height"], good["n_faces"]) == (250, 220, 1)
    assert len(good["landmarks"]) == 478 * 3
    assert rows["wall.png"]["landmarks"] is None
    strict = {row["path"]: row for row in index(photos, quality=Quality(20, max_pitch=5))}
    assert strict["small.png"]["reason"] == strict["good.png"]["reason"] == "too turned"
    assert re.fullmatch(r"yaw -?\d+°, pitch \d+°", strict["good.png"]["detail"])


def test_the_largest_of_several_faces(
    photos: Path, astronaut: Image, index: Callable[..., list[dict[str, Any]]]
) -> None:
    large = astronaut[20:240, 100:350]
    small = np.full_like(large, 200)
    small[20:196, 10:210] = np.asarray(PillowImage.fromarray(large).resize((200, 176)))
    save(np.hstack([small, large]), photos / "two.png")
    save(np.hstack([large, small]), photos / "too.png")
    first, second = index(photos)  # too, two
    assert first["n_faces"] == second["n_faces"] == 2
    assert first["inter_ocular"] == pytest.approx(second["inter_ocular"], rel=0.03)
    assert first["inter_ocular"] > 39  # the small one has 33
    assert second["landmarks"][3] - first["landmarks"][3] == pytest.approx(250, abs=2)


def test_identity_is_the_content_not_the_name(
    photos: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]]
) -> None:
    shutil.copy(face_photo, photos / "a.png")
    (before,) = index(photos)
    (photos / "a.png").rename(photos / "b.png")
    (after,) = index(photos)
    assert {**before, "path": "b.png"} == after


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda p: None, "no such folder"),
        (lambda p: p.write_text("x"), "another file"),
        (lambda p: p.mkdir(), "none"),
        (lambda p: ((p / ".git").mkdir(parents=True), (p / ".git" / "x.png").touch()), "none"),
    ],
)
def test_nothing_to_look_at(tmp_path: Path, make: Callable[[Path], Any], found: str) -> None:
    make(tmp_path / "faces")
    with pytest.raises(InputError, match=f"faces(.|\n)*found: {found}"):
        index_photos(tmp_path / "faces", model=no_model)


# Lists


@pytest.mark.parametrize(
    "content",
    [
        b"b/2.png\na 1.png\n",
        b"\xef\xbb\xbfa 1.png\r\nb/2.png\r\n",
        b"# chosen by hand\n\n  b/2.png  \na 1.png\na 1.png",
    ],
)
def test_a_list_names_photos_beside_it(photos: Path, face_photo: Path, content: bytes) -> None:
    (photos / "list.txt").write_bytes(content)
    assert list_photos(photos / "list.txt") == ["a 1.png", "b/2.png"]
    (photos / "b").mkdir()
    rows = index_photos(photos / "list.txt", model=no_model).to_pylist()
    assert [row["reason"] for row in rows] == ["unreadable"] * 2


@pytest.mark.parametrize("line", ["/etc/x.png", "../x.png", "a/../../x.png"])
def test_a_list_stays_below_its_folder(photos: Path, line: str) -> None:
    (photos / "list.txt").write_text(f"a.png\n{line}\n")
    with pytest.raises(InputError, match=f"paths below the folder of the list\n  found: {line}"):
        list_photos(photos / "list.txt")


def test_a_list_that_is_no_text_or_empty(photos: Path) -> None:
    (photos / "list.txt").write_bytes(b"\xff\xfea\0")
    with pytest.raises(InputError, match=r"list of photos .*list.txt\n  expected: paths in UTF-8"):
        list_photos(photos / "list.txt")
    (photos / "list.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match="found: none"):
        list_photos(photos / "list.txt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each list overwrites the one before
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_lists_read_back_or_are_refused(photos: Path, names: list[str]) -> None:
    paths = [f"{name}.png" for name in names]
    odd = [path for path in paths if "\n" in path or path != path.strip() or path.startswith("#")]
    if odd:
        with pytest.raises(UsageError, match=re.escape(repr(odd[0]))):
            write_list(paths, photos, photos / "list.txt")
    elif not any(path.startswith("/") or ".." in path.split("/") for path in paths):
        write_list(paths, photos, photos / "list.txt")
        assert list_photos(photos / "list.txt") == sorted(set(paths))


def test_a_list_elsewhere_names_the_folder_of_its_photos(
    photos: Path, tmp_path: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]]
) -> None:
    """A folder of photos may be read-only; what lies beside the photos is found all the same."""
    shutil.copy(face_photo, photos / "a.png")
    (photos / "faces.csv").write_text("file,licence\na.png,MIT\n")
    before = sorted(photos.iterdir())
    listed = tmp_path / "of an experiment" / "list.txt"
    write_list(["a.png"], photos, listed)
    assert list_photos(listed) == ["a.png"]
    assert photos_root(listed) == photos.resolve()
    (row,) = index(listed)
    assert (row["path"], row["licence"], row["reason"]) == ("a.png", "MIT", "")
    assert sorted(photos.iterdir()) == before
    with pytest.raises(UsageError, match=r"ends in \.txt"):
        write_list(["a.png"], photos, tmp_path / "list")
    with pytest.raises(UsageError, match="line breaks"):
        write_list(["a.png"], tmp_path / "a \n", listed)
    shutil.move(photos, tmp_path / "moved")
    with pytest.raises(InputError, match=f"found: {photos.resolve()}, no folder"):
        list_photos(listed)


@posix
def test_every_file_is_accounted_for(
    photos: Path, face_photo: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(face_photo, photos / "good.png")
    for name in ("a.HEIC", "b.cr2", "c.mov", "d.ppm.bz2", "f.JPE"):
        (photos / name).write_bytes(b"not opened")
    for name in (".x.png", "Thumbs.db", "e.csv", "no suffix", "@eaDir/good.png/thumb.jpg"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(b"x")
    os.mkfifo(photos / "pipe.jpg")
    (photos / "device.jpg").symlink_to("/dev/zero")
    (photos / "again").symlink_to(photos)
    (photos / "closed").mkdir()
    scandir = os.scandir

    def closing(place: Path) -> Any:
        if Path(place).name == "closed":  # root may open all
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr(os, "scandir", closing)
    said: list[str] = []
    table = index_photos(photos, model=lambda: model, say=said.append)
    assert {row["path"]: row["reason"] for row in table.to_pylist()} == {
        "a.HEIC": "other format", "b.cr2": "other format", "c.mov": "other format", "closed/": "unreadable",
        "d.ppm.bz2": "other format", "f.JPE": "unreadable", "good.png": "",
    }  # fmt: skip
    assert table["detail"].to_pylist()[0] == "a HEIC photo: convert it to PNG or JPEG"
    kinds = {"hidden": 3, "pipes, devices or sockets": 2, "links to a folder that is there": 1, ".csv": 1}
    assert passed_over(table) == {**kinds, "without a suffix": 1}
    assert said[-1].startswith("15 files: 1 photos used, 6 refused, 8 passed over (3 hidden, 2 pipes")


def test_a_folder_of_other_formats_alone_says_what_to_do(photos: Path) -> None:
    (photos / "a.heic").write_bytes(b"x")
    with pytest.raises(InputError, match=r"none; a.heic is a HEIC photo: convert it to PNG or JPEG"):
        list_photos(photos)


def test_content_decides_what_is_a_photo(photos: Path) -> None:
    """Messengers call JPEG files .heic; formats that Pillow reads are read, and a file that is broken has a row."""
    picture = PillowImage.new("RGB", (8, 8))
    for name, kind in (("a.HEIC", "JPEG"), ("b.heif", "PNG"), ("c.jpg", "WEBP"), ("d.mov", "JPEG"), ("e.psd", "TGA")):
        picture.save(photos / name, kind)
    for suffix in ("tga", "ico", "dds", "pcx", "jpx"):
        picture.save(photos / f"f.{suffix}")
    (photos / "g.heic").touch()
    (photos / "h.heic").write_bytes(b"\0\0\0\x18ftypheic")
    found = look_through(photos)
    assert "".join(sorted(name[0] for name in found.photos)) == "abcdefffffg"
    assert found.refused == {"h.heic": "a HEIC photo: convert it to PNG or JPEG"}
    assert not found.passed_over


# The CSV beside


def described(rows: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    return {row["path"]: tuple(row[key] for key in ("licence", "attribution", "kind", "person")) for row in rows}


@pytest.fixture
def two(photos: Path, face_photo: Path) -> Path:
    (photos / "sub").mkdir()
    shutil.copy(face_photo, photos / "a, b.png")
    shutil.copy(face_photo, photos / "sub" / "c.png")
    return photos


@pytest.mark.parametrize(
    "text",
    [
        'file,licence,attribution,kind,person_id\n"a, b.png",CC0,"Ann, B.",real,p1\n',
        '\ufefffilename,license,credit,kind,person\r\n"a, b.png",CC0,"Ann, B.",real,p1\r\n',
        'file;licence;attribution;kind;person_id\n"a, b.png";CC0;Ann, B.;real;p1\n',
        'kind,extra,path,author,person,licence\nreal,1,"./sub/../a, b.png","Ann, B.",p1,CC0\n,,,,,\nreal,,gone.png',
    ],
)
def test_csv_in_the_folder(two: Path, index: Callable[..., list[dict[str, Any]]], text: str) -> None:
    (two / "faces.csv").write_text(text, "utf-8", newline="")
    empty = ("", "", "", "")
    assert described(index(two)) == {"a, b.png": ("CC0", "Ann, B.", "real", "p1"), "sub/c.png": empty}


def test_csv_in_the_folder_above(two: Path, tmp_path: Path, index: Callable[..., list[dict[str, Any]]]) -> None:
    (tmp_path / "faces.csv").write_text('file,licence\n"photos/a, b.png",CC0\nphotos/sub/c.png,MIT\n')
    expected = {"a, b.png": ("CC0", "", "", ""), "sub/c.png": ("MIT", "", "", "")}
    assert described(index(two)) == expected
    (two / "list.txt").write_text("sub/c.png\n")
    assert described(index(two / "list.txt")) == {"sub/c.png": ("MIT", "", "", "")}
    (two / "faces.csv").write_text("file,licence\nsub/c.png,CC-BY\n")  # the nearer one counts
    assert described(index(two))["sub/c.png"][0] == "CC-BY"
    given = FaceCSV(tmp_path / "faces.csv")
    assert described(index(two, table=given)) == expected


def test_a_faces_csv_of_something_else_is_left_alone(two: Path, index: Callable[..., list[dict[str, Any]]]) -> None:
    (two / "faces.csv").write_text("name,age\nAnn,30\n")
    assert csv_beside(two) is None
    assert set(described(index(two)).values()) == {("", "", "", "")}
    beside = csv_beside(two, any_columns=True)
    assert beside is not None
    with pytest.raises(
        InputError, match=r"faces CSV (.|\n)*file or path or filename or image\n  found: first row: name \| age"
    ):
        beside.rows()


def test_a_faces_csv_from_another_system(photos: Path, face_photo: Path, model: Path) -> None:
    (photos / "sub").mkdir()
    for name in ("sub/c.png", unicodedata.normalize("NFD", "Zoë.png"), "D.PNG"):
        shutil.copy(face_photo, photos / name)
    (photos / "faces.csv").write_text("file,licence\nsub\\c.png,MIT\nZoë.png,CC0\nd.png,MIT\n,\nD.PNG,NaN\n", "utf-8")
    said: list[str] = []
    table = index_photos(photos, model=lambda: model, say=said.append)
    licences = dict(zip(table["path"].to_pylist(), table["licence"].to_pylist(), strict=True))
    assert licences == {"D.PNG": "", unicodedata.normalize("NFD", "Zoë.png"): "CC0", "sub/c.png": "MIT"}
    assert said[0] == "1 of 4 rows of faces.csv names no photo, such as d.png"


@pytest.mark.parametrize(
    ("rows", "licences", "said"),
    [
        (["B.JPG,MIT", "sub/c.png,CC0"], ["MIT", "CC0", None], "1 of 2 rows of faces.csv names a photo in other upper"),
        (["C:\\me\\pics\\b.jpg,MIT", "C:\\me\\pics\\sub\\c.png,CC0"], ["MIT", "CC0", None], "photo below C:/me/pics"),
        (["photos/sub/c.png,CC0"], [None, "CC0", None], "1 of 1 rows of faces.csv names a photo below photos"),
        (["s1/b.jpg,MIT"], [None, None, None], "1 of 1 rows of faces.csv names no photo, such as s1/b.jpg"),
        (["/x/b.jpg,MIT", "/y/sub/c.png,CC0"], [None, None, None], "2 of 2 rows of faces.csv name no photo"),
        (["B.jpg,MIT", "b.JPG,CC0"], [None, None, None], "2 of 2 rows of faces.csv name no photo"),
    ],
)
def test_rows_are_matched_aloud_or_named(photos: Path, rows: list[str], licences: list[str | None], said: str) -> None:
    (photos / "faces.csv").write_text("\n".join(["file,licence", *rows]), "utf-8-sig")
    names = ["b.jpg", "sub/c.png", "sub/d.png"]
    (photos / "sub").mkdir()
    for name in names:
        (photos / name).touch()
    found, texts = FaceCSV(photos / "faces.csv").match(photos, names)
    assert [found[name]["licence"] if name in found else None for name in names] == licences
    assert any(said in text for text in texts)


def test_photos_without_a_row_are_said(two: Path, model: Path) -> None:
    (two / "faces.csv").write_text("file,licence\nsub/c.png,MIT\n")
    said: list[str] = []
    table = index_photos(two, model=lambda: model, say=said.append)
    assert table["detail"].to_pylist()[0] == "no row in faces.csv"
    assert (
        "1 of 2 photos can be used, but has no row in faces.csv, such as a, b.png: no licence is noted for them" in said
    )


def test_a_faces_csv_deeper_in_the_folder(two: Path, model: Path) -> None:
    """The nearest above a photo counts; photos that no table covers are not said to lack a row."""
    (two / "sub" / "faces.csv").write_text("file,licence\nc.png,MIT\ngone.png,CC0\n")
    said: list[str] = []
    table = index_photos(two, model=lambda: model, say=said.append)
    assert described(table.to_pylist()) == {"a, b.png": ("",) * 4, "sub/c.png": ("MIT", "", "", "")}
    assert table["detail"].to_pylist()[0] == ""
    assert "sub/faces.csv is used, too: 1 of 1 photos below it" in said
    assert any("names no photo, such as gone.png" in text for text in said)
    (two / "faces.csv").write_text('file,licence\n"a, b.png",CC0\nsub/c.png,wrong\n')
    nearest = described(index_photos(two, model=lambda: model).to_pylist())
    assert [facts[0] for facts in nearest.values()] == ["CC0", "MIT"]
    said.clear()
    given = index_photos(two, model=lambda: model, table=FaceCSV(two / "faces.csv"), say=said.append)
    assert given["licence"].to_pylist() == ["CC0", "wrong"]
    assert any("such as sub/faces.csv: not used" in text for text in said)
    (two / "faces.csv").unlink()
    (two / "sub" / "faces.csv").write_text("name,licence\nc.png,MIT\n")
    index_photos(two, model=lambda: model, say=said.append)
    assert any("sub/faces.csv is not used: it has no column of file names" in text for text in said)


def test_nobody_loses_a_licence_in_silence(two: Path) -> None:
    table = two / "faces.csv"
    for text, found in (
        ("file,attribution,licence\nsub/c.png,Jo, A.,MIT\n", "row 2\n.*at most 3 cells"),
        ("file,licence\nsub/c.png,MIT\n./sub/c.png,CC0\n", "row 3, column file\n.*each photo once"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=found):
            FaceCSV(table).rows()


def test_given_column_names(two: Path, index: Callable[..., list[dict[str, Any]]]) -> None:
    table = two / "my.csv"
    table.write_text("bild,file,terms\nsub/c.png,wrong,MIT\n")
    columns = {"file": "bild", "licence": "terms"}
    assert described(index(two, table=FaceCSV(table, columns)))["sub/c.png"] == ("MIT", "", "", "")
    with pytest.raises(InputError, match=r"faces CSV .*my.csv\n.*rights\n"):
        FaceCSV(table, {"licence": "rights"}).rows()


@pytest.mark.parametrize(
    "content", [b"", b"file\nx\0.png\n", b"file\n\x81\xff\n", b'file\n"' + b"x" * 200_000 + b'"\n']
)
def test_broken_csv(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "faces.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"faces\.csv"):
        FaceCSV(tmp_path / "faces.csv").rows()
    with pytest.raises(InputError, match=r"absent.csv\n  found: No such file"):
        FaceCSV(tmp_path / "absent.csv").rows()


# The cache


def test_the_second_run_needs_no_detector(
    own_cache: Path, photos: Path, face_photo: Path, astronaut: Image, index: Callable[..., list[dict[str, Any]]]
) -> None:
    shutil.copy(face_photo, photos / "a.png")
    save(astronaut[300:, :100], photos / "no face.png")
    first = index(photos)
    files = sorted(path.name for path in own_cache.rglob("*") if path.is_file())
    assert files == sorted(row["sha256"] + ".npz" for row in first)
    shutil.copy(face_photo, photos / "the same under another name.png")
    again = index(photos, model=no_model)
    assert again[:2] == first
    assert again[2]["landmarks"] == first[0]["landmarks"]
    save(astronaut[::-1], photos / "another.png")
    with pytest.raises(AssertionError, match="detector"):
        index(photos, model=no_model)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content.replace(b"pose.npy", b"nose.npy"),
        lambda content: content[:300] + b"\xff" * 50 + content[350:],
        lambda content: bytes(np.random.default_rng(0).permutation(np.frombuffer(content, np.uint8))),
    ],
)
def test_damaged_cache_is_made_again(
    own_cache: Path, photos: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]],
    damage: Callable[[bytes], bytes],
) -> None:  # fmt: skip
    shutil.copy(face_photo, photos / "a.png")
    first = index(photos)
    (file,) = (path for path in own_cache.rglob("*.npz"))
    file.write_bytes(damage(file.read_bytes()))
    assert index(photos) == first
    assert index(photos, model=no_model) == first


@pytest.mark.parametrize("in_the_way", [".", "landmarks"])
def test_unwritable_cache_costs_only_time(
    own_cache: Path, photos: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]], in_the_way: str
) -> None:
    shutil.copy(face_photo, photos / "a.png")
    (own_cache / in_the_way).parent.mkdir(exist_ok=True, parents=True)
    (own_cache / in_the_way).write_text("a file in the way")
    assert index(photos)[0]["reason"] == ""
    with pytest.raises(AssertionError, match="detector"):
        index(photos, model=no_model)


def test_index_does_not_depend_on_the_order_of_work(
    own_cache: Path, photos: Path, astronaut: Image, model: Path
) -> None:
    for i in range(7):
        save(np.roll(astronaut, 3 * (i // 2), axis=1), photos / f"{i}.png")  # some twice

    seen: list[tuple[int, int]] = []
    straight = index_photos(
        photos, model=lambda: model, per_task=2, progress=lambda done, total, note: seen.append((done, total))
    )
    assert seen[-1] == (7, 7)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    shutil.rmtree(own_cache)
    assert index_photos(photos, model=lambda: model, per_task=2, executor=Shuffled()).equals(straight)
    assert straight["reason"].to_pylist() == ["", "duplicate", "", "duplicate", "", "duplicate", ""]


# Writing


def test_written_indexes_read_back(tmp_path: Path, two: Path, model: Path) -> None:
    (two / 'it\'s\n"odd".png').touch()
    table = index_photos(two, model=lambda: model)
    write_index(table, tmp_path / "i.parquet")
    assert pq.read_table(tmp_path / "i.parquet").equals(table)
    write_index(table, tmp_path / "i.csv")
    options = pacsv.ConvertOptions(column_types=table.schema, strings_can_be_null=False)
    parsing = pacsv.ParseOptions(newlines_in_values=True)
    back = pacsv.read_csv(tmp_path / "i.csv", parse_options=parsing, convert_options=options)
    assert back.equals(table.drop_columns("landmarks"))
    with pytest.raises(UsageError, match=r"ends in .parquet or .csv"):
        write_index(table, tmp_path / "i.xlsx")


def test_refused_photos_are_listed(tmp_path: Path, two: Path, model: Path) -> None:
    path = write_refused(index_photos(two, model=lambda: model), tmp_path / "out")
    assert path == tmp_path / "out" / "refused.csv"
    assert pacsv.read_csv(path).to_pylist() == [
        {"path": "sub/c.png", "reason": "duplicate", "detail": "same bytes as a, b.png"}
    ]


def test_names_of_refused_photos_command_no_terminal(tmp_path: Path) -> None:
    row = dict.fromkeys(INDEX_SCHEMA.names) | {"path": "a\x1b[31m\u202egpj.exe", "reason": "empty\x07", "detail": "é"}
    path = write_refused(pa.Table.from_pylist([row], schema=INDEX_SCHEMA), tmp_path)
    assert Path(str(path)).read_text() == "path,reason,detail\na\\u001b[31m\\u202egpj.exe,empty\\u0007,é\n"


# Photos that stand another way up


def test_turned_photos_are_found_and_say_so(
    photos: Path, astronaut: Image, index: Callable[..., list[dict[str, Any]]], model: Path
) -> None:
    """The crop of a photo that lies on its side or stands on its head is that of the upright one."""
    face = astronaut[20:240, 100:350]
    for turn in (0, 90, 180, 270):
        save(np.ascontiguousarray(np.rot90(face, turn // 90)), photos / f"{turn:03}.png")
    rows = index(photos)
    assert [(row["turn"], row["reason"]) for row in rows] == [(turn, "") for turn in (0, 90, 180, 270)]
    crops = [align_photo(photos / row["path"], model, CropOptions(64)).crop.astype(int) for row in rows]
    for crop in crops[1:]:
        assert np.abs(crop - crops[0]).mean() < 0.5
        assert np.abs(crop[::-1] - crops[0]).mean() > 20
    assert index(photos, quality=Quality(min_score=0.99))[0]["reason"] == "no sure face"


# Quality, with reasons


def on_face(face: Image, mesh: np.ndarray, part: list[int], color: tuple[int, int, int]) -> Image:
    """The photo with the hull of some landmarks painted over."""
    painted = face.copy()
    cv2.fillConvexPoly(painted, cv2.convexHull(mesh[part, :2].astype(np.int32)), color)
    return painted


def test_what_hides_a_face_is_named(
    photos: Path, astronaut: Image, astronaut_mesh: np.ndarray, model: Path, index: Callable[..., list[dict[str, Any]]]
) -> None:
    mask = [i for i in OVAL if astronaut_mesh[i, 1] > astronaut_mesh[5, 1]] + [195]
    glasses = [226, 446, 105, 334, 111, 340, 193, 417]
    shining = on_face(astronaut, astronaut_mesh, [*glasses, 118, 347], (22, 22, 22))
    for eye in eye_centers(astronaut_mesh).astype(int).tolist():
        cv2.line(shining, (eye[0] - 6, eye[1] + 3), (eye[0] + 6, eye[1] - 4), (230, 235, 240), 2)
    face = slice(20, 300), slice(80, 370)
    faults = {
        "good": (astronaut, ""),
        "mask blue": (on_face(astronaut, astronaut_mesh, mask, (130, 175, 210)), "mouth covered"),
        "mask white": (on_face(astronaut, astronaut_mesh, mask, (225, 228, 230)), "mouth covered"),
        "glasses": (on_face(astronaut, astronaut_mesh, glasses, (22, 22, 22)), "eyes covered"),
        "glasses that shine": (shining, "eyes covered"),
        "dark": ((astronaut * 0.08).astype(np.uint8), "too dark"),
        "blurred": (cv2.GaussianBlur(astronaut, (0, 0), 4), "too blurred"),
    }
    for name, (picture, _) in faults.items():
        save(np.ascontiguousarray(picture[face]), photos / f"{name}.png")
    rows = {row["path"][:-4]: row for row in index(photos)}
    assert {name: row["reason"] for name, row in rows.items()} == {name: said for name, (_, said) in faults.items()}
    assert re.fullmatch(r"light \d+(\.\d+)?, at least 20", rows["dark"]["detail"])
    told: list[str] = []
    miex.align(photos / "mask blue.png", say=told.append, landmarker=model)
    assert "mask blue.png: mouth covered (mouth 0" in told[0]
    off = quality_of(30, {"min_mouth": None, "min_eyes": None, "min_light": None, "min_sharpness": None})
    assert not any(row["reason"] for row in index(photos, quality=off))
    with pytest.raises(UsageError, match="min_nose"):
        quality_of(30, {"min_nose": 1})


def test_only_photos_of_allowed_licences_are_used(
    photos: Path, face_photo: Path, index: Callable[..., list[dict[str, Any]]]
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(face_photo, photos / name)
    (photos / "faces.csv").write_text("file,licence\na.png,all rights reserved\nb.png,CC0\n")
    rows = index(photos, quality=quality_of(30, {}, ["cc0"]))
    assert [(row["reason"], row["detail"]) for row in rows] == [
        ("licence", "all rights reserved"), ("", ""), ("licence", "unknown"),
    ]  # fmt: skip


def test_twelve_bits_in_sixteen_are_seen(photos: Path, astronaut: Image, index: Callable[..., Any]) -> None:
    levels = astronaut[20:240, 100:350].mean(axis=2).astype(np.uint16)
    for name, factor in (("twelve", 16), ("sixteen", 257)):
        PillowImage.fromarray(levels * factor).save(photos / f"{name}.png")
    sixteen, twelve = index(photos)
    assert twelve["reason"] == sixteen["reason"] == ""
    assert twelve["light"] == pytest.approx(sixteen["light"], abs=1)
