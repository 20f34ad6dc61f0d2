"""AU tables: CSV of every shape that OpenFace, py-feat and LibreFace write, whole and broken."""

from __future__ import annotations

import csv
import math
import os
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miex.aus.tracks import TABLE_SCHEMA, Credit, Track, credit_of, read_table, table_of, tracks_of, write_parquet
from miex.aus.vector import AU_NUMBERS
from miex.errors import InputError, MiexError, ScaleError, UsageError
from miex.extraction.csv_tables import FORMATS, import_csv
from tests.corpus_fixture import INTENSITIES

# The columns of OpenFace 2.x, as its Output Format page lists them, beside the intensities.
PRESENCES = [name.replace("_r", "_c") for name in INTENSITIES[:-1]] + ["AU28_c", "AU45_c"]
GAZE = [f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"] + ["gaze_angle_x", "gaze_angle_y"]
POSE = [f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"]
LANDMARKS = [f"{axis}_{i}" for axis in "xyXYZ" for i in range(68)]
SHARED = Path(__file__).parents[3] / "shared" / "expression-series"


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], sign: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=sign)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def openface(
    path: Path,
    frames: Sequence[Mapping[str, object]],
    *,
    tool: str = "FeatureExtraction",
    blank: str = "",
    **parts: bool,
) -> Path:
    """A file as one of OpenFace's tools writes it; what a frame does not say is 0 (confidence 0.98, success 1)."""
    first = {
        "FeatureExtraction": ["frame", "face_id", "timestamp", "confidence", "success"],
        "FaceLandmarkVidMulti": ["frame", "face_id", "timestamp", "confidence", "success"],
        "old": ["frame", "timestamp", "confidence", "success"],
        "FaceLandmarkImg": ["face", "confidence"],
    }[tool]
    header = [*first, *(GAZE * parts.get("gaze", False)), *(POSE * parts.get("pose", False))]
    header += [*(LANDMARKS * parts.get("landmarks", False)), *INTENSITIES, *PRESENCES]
    default = {"confidence": 0.98, "success": 1, "timestamp": 0.0}
    rows = [[frame.get(name, default.get(name, 0)) for name in header] for frame in frames]
    return write(path, [blank * (i > 0) + name for i, name in enumerate(header)], rows)


def one(path: Path, **options: object) -> Track:
    (track,) = import_csv([path], **options).tracks  # type: ignore[arg-type]
    return track


@pytest.mark.parametrize("tool", ["FeatureExtraction", "FaceLandmarkVidMulti", "old"])
@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("parts", [{}, {"gaze": True}, {"landmarks": True, "pose": True, "gaze": True}])
def test_columns_go_by_name(tmp_path: Path, tool: str, blank: str, parts: dict[str, bool]) -> None:
    frames = [{"frame": 1, "AU12_r": 2.5, "AU45_r": 5}, {"frame": 2, "AU01_r": 1}]
    track = one(openface(tmp_path / "EP02_01f.csv", frames, tool=tool, blank=blank, **parts), version="2.2.0")
    assert (track.clip, track.extractor, track.version) == ("EP02_01f", "openface", "2.2.0")
    assert track.frames.tolist() == [0, 1]
    expected = np.zeros((2, 17), np.float32)
    expected[0, AU_NUMBERS.index(12)], expected[0, 16], expected[1, 0] = 0.5, 1, 0.2
    np.testing.assert_array_equal(track.aus, expected)
    np.testing.assert_allclose(track.confidence, 0.98, rtol=1e-6)


def test_failed_frames_are_counted_and_never_zeros(tmp_path: Path) -> None:
    frames = [
        {"frame": 1, "AU04_r": 1},
        {"frame": 2, "success": 0, "confidence": 0.02},
        {"frame": 3, "AU04_r": ""},
        {"frame": 4, "confidence": 0.3, "AU04_r": 1},
    ]
    found = import_csv([openface(tmp_path / "a.csv", frames)], min_confidence=0.5)
    assert (found.frames, found.failed) == (4, 3)
    assert found.tracks[0].success.tolist() == [True, False, False, False]
    assert np.isnan(found.tracks[0].aus[1:]).all()


def test_of_several_faces_the_one_seen_most_is_taken(tmp_path: Path) -> None:
    rows = [
        {"frame": f, "face_id": face, "AU12_r": face} for f in range(3, 7) for face in (0, 1) if (f, face) != (4, 0)
    ]
    found = import_csv([openface(tmp_path / "a.csv", rows, tool="FaceLandmarkVidMulti")])
    assert found.several_faces == ["a"]
    (track,) = found.tracks
    # frames 1 and 2, where nobody was found, and which it does not list, are failed frames
    assert track.frames.tolist() == [0, 1, 2, 3, 4, 5]
    assert track.success.tolist() == [False] * 2 + [True] * 4
    np.testing.assert_allclose(track.aus[2:, AU_NUMBERS.index(12)], 0.2)


def test_single_images_of_a_folder_are_a_clip_in_natural_order(tmp_path: Path) -> None:
    for number in (2, 10, 9):
        faces = [{"face": 0, "confidence": 0.4, "AU12_r": 5}, {"face": 1, "confidence": 0.9, "AU12_r": number / 4}]
        openface(tmp_path / "sub01" / "EP01" / f"reg_img{number}.csv", faces, tool="FaceLandmarkImg", blank=" ")
    (tmp_path / "sub01" / "EP01" / "reg_img11.csv").touch()  # no face in that image
    track = one(tmp_path)
    assert track.clip == "sub01/EP01"
    assert track.frames.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(track.aus[:, AU_NUMBERS.index(12)], [0.1, 0.45, 0.5, np.nan], rtol=1e-6)


def test_clips_are_named_by_folders_or_by_a_column(tmp_path: Path) -> None:
    for name in ("sub01/EP02_01f/EP02_01f", "sub01/EP03", "EP04"):
        openface(tmp_path / "tree" / f"{name}.csv", [{"frame": 0}])
    assert [track.clip for track in import_csv([tmp_path / "tree"]).tracks] == ["EP04", "sub01/EP02_01f", "sub01/EP03"]
    rows = [[clip, frame, *[0] * 17] for clip in ("b", "a") for frame in (0, 1)]
    several = write(tmp_path / "several.csv", ["clip", "frame", *INTENSITIES], rows, sign=";")
    found = import_csv([several])
    assert [(track.clip, len(track.frames)) for track in found.tracks] == [("a", 2), ("b", 2)]
    with pytest.raises(InputError, match="clip a more than once"):
        import_csv([several, write(tmp_path / "a.csv", ["frame", *INTENSITIES], [[0, *[0] * 17]])])


def test_pyfeat_and_libreface(tmp_path: Path) -> None:
    numbers = [1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43]
    header = ["FaceRectX", "FaceScore", *(f"AU{au:02d}" for au in numbers), "anger", "input", "frame"]
    rows = [[9, 0.99, *(au / 100 for au in numbers), 0.5, "a.mp4", 0], [9, "", *[""] * 20, "", "a.mp4", 1]]
    track = one(write(tmp_path / "feat.csv", header, rows))
    assert track.extractor == "py-feat"
    np.testing.assert_allclose(track.aus[0], [43 / 100 if au == 45 else au / 100 for au in AU_NUMBERS], rtol=1e-6)
    assert track.success.tolist() == [True, False]

    there = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    header = ["", "frame_idx", "frame_time_in_ms", "au_1", *(f"au_{au}_intensity" for au in there), "facial_expression"]
    track = one(write(tmp_path / "libre.csv", header, [[0, 0, 0.0, 1, *[2.5] * 12, "Happiness"]]))
    assert track.extractor == "libreface"
    assert [au for au, z in zip(AU_NUMBERS, track.aus[0], strict=True) if np.isnan(z)] == [7, 10, 14, 23, 45]
    assert np.nanmax(track.aus) == np.nanmin(track.aus) == 0.5
    assert track.seen.sum() == 12


@pytest.mark.parametrize("lost", ["-nan(ind)", "-nan", "NA", "null", "None", "#N/A", "nan"])
def test_lost_faces_are_failed_frames_however_they_are_written(tmp_path: Path, lost: str) -> None:
    every = dict.fromkeys(INTENSITIES, lost)
    found = import_csv([openface(tmp_path / "a.csv", [{"frame": 1}, {"frame": 2, **every}, {"frame": 3}])])
    assert (found.frames, found.failed) == (3, 1)


def pyfeat(path: Path, rows: Sequence[tuple[int, float, float, str]], *names: str) -> Path:
    """(frame, FaceScore, all AUs, Identity) of each row."""
    aus = [1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43]
    header = ["frame", "FaceScore", *(f"AU{au:02d}" for au in aus), *names]
    return write(path, header, [[f, score, *[z] * 20, who][: len(header)] for f, score, z, who in rows])


def test_of_two_rows_of_a_frame_that_of_the_surer_face_is_kept(tmp_path: Path) -> None:
    rows = [(0, 0.99, 0.1, ""), (1, 0.61, 0.9, ""), (1, 0.99, 0.2, ""), (2, 0.99, 0.3, ""), (2, 0.5, 0.9, "")]
    found = import_csv([pyfeat(tmp_path / "a.csv", rows)])
    assert found.several_faces == ["a"]
    np.testing.assert_allclose(found.tracks[0].aus[:, 0], [0.1, 0.2, 0.3], rtol=1e-6)


def test_identity_says_whose_face_it_is(tmp_path: Path) -> None:
    rows = [(f, 0.9, 0.5, "Person_1") for f in (0, 1, 2)] + [(f, 0.99, 0.25, "Person_0") for f in (2, 1, 0)]
    rows += [(3, 0.0, math.nan, "nan")]  # nobody there, which is no face of its own
    found = import_csv([pyfeat(tmp_path / "a.csv", rows, "Identity")])
    assert found.several_faces == ["a"]
    assert found.tracks[0].success.tolist() == [True, True, True, False]
    np.testing.assert_allclose(found.tracks[0].aus[:3, 0], 0.25)
    found = import_csv([pyfeat(tmp_path / "b.csv", [rows[0], rows[-1]], "Identity")], first_frame=0)
    assert (found.several_faces, found.frames, found.failed) == ([], 2, 1)


def test_openface_before_2_gives_fourteen_aus(tmp_path: Path) -> None:
    """As in the CLNF_AUs.txt of DAIC-WOZ."""
    names = [name for name in INTENSITIES if name not in ("AU07_r", "AU23_r", "AU45_r")]
    header = ["frame", "timestamp", "confidence", "success", *names, "AU23_c"]
    path = write(tmp_path / "300_CLNF_AUs.txt", header, [[1, 0, 0.98, 1, *[2.5] * 14, 1]])
    for place in (path, tmp_path):
        found = import_csv([place])
        assert found.unseen_aus == [7, 23, 45]
        assert (found.format, found.tracks[0].clip, found.failed) == ("openface", "300_CLNF_AUs", 0)
        assert np.nanmin(found.tracks[0].aus) == 0.5


@pytest.mark.parametrize(("suffix", "sign"), [("csv", ","), ("tsv", "\t")])
def test_openface_3(tmp_path: Path, suffix: str, sign: str) -> None:
    header = ["timestamp", "video_path", "frame_index", "face_id", "face_detection", "landmarks", "emotion", "gaze_yaw",
              "gaze_pitch", "action_units"]  # fmt: skip
    aus = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]]
    rows: list[list[object]] = [
        ["2025-06-10", "a.avi", 0, 0.0, [9.5, 9, 99, 99, 0.75, 1, 2], [[1, 2]], 1.0, 0.1, 0.1, aus],
        ["2025-06-10", "a.avi", 1, *[""] * 7],
    ]
    found = import_csv([write(tmp_path / f"face_analysis_a.{suffix}", header, rows, sign)])
    assert (found.format, found.frames, found.failed, found.several_faces) == ("openface3", 2, 1, [])
    (track,) = found.tracks
    assert found.unseen_aus == [au for au in AU_NUMBERS if au not in (1, 2, 4, 6, 9, 12, 25, 26)]
    np.testing.assert_allclose(track.aus[0][track.seen], aus[0], rtol=1e-6)
    assert track.confidence[0] == 0.75
    rows[0][-1] = aus[0][:7]
    with pytest.raises(InputError, match=r"row 2\n.*8 numbers in column action_units\n.*7"):
        import_csv([write(tmp_path / f"b.{suffix}", header, rows, sign)])


def test_libreface_leaves_out_frames_without_a_face(tmp_path: Path) -> None:
    aus = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    header = ["frame_idx", "frame_time_in_ms", "pitch", "lm_mp_0_x", *(f"au_{au}" for au in (1, 2, 4, 6, 7, 10, 12)),
              *(f"au_{au}_intensity" for au in aus), "facial_expression", "gaze_yaw", "gaze_pitch"]  # fmt: skip
    rows = [[f, f / 30, 0.1, 0.5, *[1] * 7, *[1.25] * 12, "Neutral", 0.1, 0.1] for f in (2, 3, 6)]
    found = import_csv([write(tmp_path / "a.csv", header, rows)], first_frame=0)
    assert found.unseen_aus == [7, 10, 14, 23, 45]
    assert found.tracks[0].success.tolist() == [False, False, True, True, False, False, True]
    # a video whose first faces come late has no frame 0 in its table, and is still counted from 0
    assert import_csv([tmp_path / "a.csv"]).tracks[0].frames.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_far_frame_does_not_fill_the_memory(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"frame": 1}, {"frame": 1, "face_id": 1}, {"frame": 30_000_000}]
    path = openface(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match=r"clip a\n.*100,000 frames without a row\n.*frame 30,000,000 in"):
        import_csv([path])
    rows[1] = {"frame": 2**31 - 2}
    assert one(openface(tmp_path / "b.csv", rows)).frames.tolist() == [0, 29_999_999, 2**31 - 3]


def test_leftovers_and_strays_of_a_folder(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    openface(tree / "sub01" / "EP01.csv", [{"frame": 1}])
    openface(tree / "sub01" / ".ipynb_checkpoints" / "EP01-checkpoint.csv", [{"frame": 1}])
    (tree / "sub01" / "._EP01.csv").write_bytes(b"Mac OS X\0\x80")
    stray = write(tree / "notes.csv", ["name", "age"], [["a", 1]])
    found = import_csv([tree])
    assert ([track.clip for track in found.tracks], found.files) == (["sub01/EP01"], 1)
    assert found.passed_over == [stray]
    with pytest.raises(InputError, match=r"(?s)notes\.csv.*columns name, age"):
        import_csv([stray])
    summary = write(tree / "summary.csv", ["clip", *INTENSITIES[:2]], [["a", 0, 0]])
    with pytest.raises(InputError, match=r"(?s)summary\.csv.*no AU04_r"):  # it is nearer to an AU table
        import_csv([copy_of([stray, summary], tmp_path / "alone")])
    broken = [tree / "binary.csv", tree / "broken.xlsx", tree / "nothing.csv"]
    for path, content in zip(broken, (b"\0\1\xff" * 99, b"PK\3\4" + bytes(99), b""), strict=True):
        path.write_bytes(content)
        with pytest.raises(InputError, match=path.name):
            import_csv([path])
    found = import_csv([tree])
    assert ([track.clip for track in found.tracks], found.files) == (["sub01/EP01"], 1)
    assert sorted(found.passed_over) == sorted([stray, summary, *broken])
    damaged = write(tree / "damaged.csv", ["frame", *INTENSITIES], [[1, *["x"] * 17]])
    with pytest.raises(InputError, match=rf"(?s){damaged}, row 2"):  # no stray: it has all AUs of a program
        import_csv([tree])


def copy_of(files: Sequence[Path], folder: Path) -> Path:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    openface(tmp_path / "tree" / "a.csv", [{"frame": 1}])
    named = (tmp_path / "tree" / "a.csv").rename(tmp_path / "tree" / os.fsdecode(b"caf\xe9.csv"))
    for path in (tmp_path / "tree", named):
        with pytest.raises(InputError, match=r"(?s)caf\\xe9\.csv.*UTF-8.*rename"):
            import_csv([path])


def test_decimal_commas(tmp_path: Path) -> None:
    header = ["frame", "face_id", "timestamp", "confidence", "success", *INTENSITIES, *PRESENCES]
    rows = [["1", "0", "0,0", "0,98", "1", *["2,5"] * 17, *["0,0"] * 18], ["2", "0", "0,03", "1", "1", *["0"] * 35]]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(map(";".join, [header, *rows])))
    track = one(path)
    assert track.aus[:, AU_NUMBERS.index(12)].tolist() == [0.5, 0]
    assert track.confidence[0] == np.float32(0.98)
    path.write_text("\n".join(map(", ".join, [header, *rows])))
    with pytest.raises(InputError, match=r"row 2\n.*40 cells.*\n.*decimal commas between commas"):
        import_csv([path])


def test_rows_in_any_order_columns_in_capitals_and_workbooks(tmp_path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        book.add_worksheet("notes").write(0, 0, "made by me")
        sheet = book.add_worksheet("aus")
        sheet.write_row(0, 0, ["FRAME", *(name.upper() for name in INTENSITIES)])
        for i, frame in enumerate((3, 1, 2)):
            sheet.write_row(i + 1, 0, [frame, *[frame] * 17])
    np.testing.assert_allclose(one(tmp_path / "a.xlsx").aus[:, 0], [0.2, 0.4, 0.6], rtol=1e-6)


def test_scales_that_cannot_be(tmp_path: Path) -> None:
    path = openface(tmp_path / "a.csv", [{"frame": 1, "confidence": 98}])
    with pytest.raises(ScaleError, match=r"a\.csv, row 2: confidence = 98\n.*\[0, 1\]"):
        import_csv([path])
    for scale in (0, -5, math.inf, math.nan):
        with pytest.raises(UsageError, match="`scale`"):
            import_csv([path], scale=scale)


BROKEN = {
    "no number": ({"AU06_r": "weak"}, InputError, r"a\.csv, row 3\n.*column AU06_r\n.*'weak'"),
    "above the scale": ({"AU06_r": 7.5}, ScaleError, r"a\.csv, row 3: AU06_r = 7\.5\n.*\[0, 5\]"),
    "negative": ({"AU06_r": -0.5}, ScaleError, r"row 3: AU06_r = -0\.5"),
    "infinite": ({"AU06_r": "inf"}, InputError, r"row 3\n.*AU06_r\n.*'inf'"),
    "half a frame": ({"frame": 1.5}, InputError, r"row 3\n.*frame number.*\n.*frame = '1\.5'"),
    "no frame": ({"frame": ""}, InputError, r"row 3\n.*frame number"),
    "negative frame": ({"frame": -1}, InputError, r"row 3\n.*frame number"),
    "huge frame": ({"frame": "1e300"}, InputError, r"row 3\n.*frame number"),
    "a frame twice": ({"frame": 1}, InputError, r"row 3\n.*once\n.*frame 1 twice"),
    "success of another kind": ({"success": "yes"}, InputError, r"row 3\n.*column success\n.*'yes'"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_errors_name_file_row_and_value(tmp_path: Path, what: str) -> None:
    change, kind, text = BROKEN[what]
    path = openface(tmp_path / "a.csv", [{"frame": 1}, {"frame": 2, **change}, {"frame": 3}])
    with pytest.raises(kind, match=text):
        import_csv([path])


def test_what_is_no_table_is_said_so(tmp_path: Path) -> None:
    cut = openface(tmp_path / "cut.csv", [{"frame": 1}, {"frame": 2}])
    cut.write_bytes(cut.read_bytes()[:-40])
    cases = {
        cut: r"row 3\n.*40 cells",
        write(tmp_path / "few.csv", ["frame", *INTENSITIES[1:]], [[1, *[0] * 16]]): "no AU01_r",
        write(tmp_path / "other.csv", ["a", "b"], [[1, 2]]): "columns a, b",
        write(tmp_path / "twice.csv", ["frame", *INTENSITIES, "AU12_r"], [[1, *[0] * 18]]): "AU12_r twice",
        write(tmp_path / "header.csv", ["frame", *INTENSITIES], []): "only a header",
        write(tmp_path / "nameless.csv", ["id", *INTENSITIES], [["a", *[0] * 17], ["b", *[0] * 17]]): "neither",
        tmp_path / "missing.csv": "no such file",
    }
    raw = {
        "empty": (b"", "an empty file"),
        "image": (b"\x89PNG\r\n\xff\xfe\x81", "neither"),
        "nul": (b"frame\0\n1\n", "neither"),
    }
    for name, (content, text) in raw.items():
        (tmp_path / f"{name}.csv").write_bytes(content)
        cases[tmp_path / f"{name}.csv"] = text
    (tmp_path / "folder").mkdir()
    cases[tmp_path / "folder"] = "none"
    for path, text in cases.items():
        with pytest.raises(InputError, match=rf"(?s){path.name}.*{text}"):
            import_csv([path])
    with pytest.raises(UsageError, match="openface, openface3, libreface, py-feat"):
        import_csv([cut], format_name="affdex")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_fuzzed_files_give_an_error_of_ours_or_a_whole_table(tmp_path: Path, seed: int, n: int) -> None:
    """Bytes are changed, cut and moved; what comes out is proven, or the message names the file."""
    luck = random.Random(seed)
    frames = [{"frame": i + 1, "AU12_r": luck.uniform(0, 5)} for i in range(4)]
    path = openface(tmp_path / "fuzzed.csv", frames, gaze=luck.random() < 0.5, blank=luck.choice(["", " "]))
    content = bytearray(path.read_bytes())
    for _ in range(n):
        at = luck.randrange(len(content))
        match luck.randrange(4):
            case 0:
                content[at] = luck.randrange(256)
            case 1:
                del content[at : at + luck.randrange(1, 30)]
            case 2:
                content[at:at] = luck.choice([b",", b"\n", b'"', b"\r", b"9", b"-", b"nan", b"\xff", b"\0", b"1e999"])
            case _:
                content[at:at] = content[: luck.randrange(40)]
        if not content:
            break
    path.write_bytes(content)
    try:
        found = import_csv([path])
    except MiexError as error:
        if "fuzzed" in str(error):
            return
        raise
    for track in found.tracks:
        assert ((track.aus >= 0) & (track.aus <= 1) | np.isnan(track.aus)).all()
        assert (np.diff(track.frames) > 0).all()
    tracks_of(table_of(found.tracks, Credit()))


def test_scales_and_first_frames_can_be_said(tmp_path: Path) -> None:
    path = openface(tmp_path / "a.csv", [{"frame": 5, "AU12_r": 0.5}])
    assert one(path, scale=1).aus.max() == 0.5
    assert one(path, first_frame=0).frames.tolist() == [5]
    assert one(path).frames.tolist() == [4]
    with pytest.raises(InputError, match="frames from 1 on"):
        one(openface(tmp_path / "b.csv", [{"frame": 0}]), first_frame=1)


def track(clip: str = "s1/a", n: int = 3, **changes: object) -> Track:
    luck = np.random.default_rng(len(clip))
    aus = luck.random((n, 17), np.float32)
    aus[1], aus[:, 3] = np.nan, np.nan
    confidence = np.full(n, 0.5, np.float32)
    values = {"clip": clip, "frames": np.arange(n, dtype=np.int32), "aus": aus, "confidence": confidence}
    return Track(**{**values, "extractor": "x", "version": "1", **changes})  # type: ignore[arg-type]


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    tracks = [track("s2/a"), track("s1/b", 5)]
    write_parquet(table_of(tracks, Credit("CC0", "Jo, A.")), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert credit_of(table) == Credit("CC0", "Jo, A.")
    assert table["success"].to_pylist() == [True, False, True, True, True, True, False, True]
    back = tracks_of(table)
    assert list(back) == ["s1/b", "s2/a"]
    for known in tracks:
        found = back[known.clip]
        for name in ("frames", "aus", "confidence"):
            np.testing.assert_array_equal(getattr(found, name), getattr(known, name))


def test_a_table_from_elsewhere_is_proven(tmp_path: Path) -> None:
    good = table_of([track()], Credit())
    high = np.full((3, 17), 2, np.float32)
    bad = {
        "no Parquet": b"PAR1 no",
        "no column clip": good.drop_columns(["clip"]),
        "AU01 = 2": good.set_column(2, "aus", pa.FixedSizeListArray.from_arrays(high.ravel(), 17)),
        "frame 0": good.set_column(1, "frame", pa.array([0, 1, 0], pa.int32())),
        "none in row 1": good.set_column(0, "clip", pa.array(["a", None, "b"])),
        "one extractor": good.set_column(5, "extractor", pa.array(["a", "b", "b"])),
    }
    for text, content in bad.items():
        path = tmp_path / "t.parquet"
        if isinstance(content, bytes):
            path.write_bytes(content)
            text = "Parquet"
        else:
            write_parquet(content, path)
        with pytest.raises(InputError, match=text):
            read_table(path)
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "nothing.parquet")
    with pytest.raises(InputError, match="two"):
        table_of([track(), track()], Credit())


def test_formats_name_each_au_once() -> None:
    for known in FORMATS:
        assert len(set(known.columns.values())) == len(known.columns)
    assert TABLE_SCHEMA.field("aus").type.list_size == len(AU_NUMBERS)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared folder")
def test_real_tables_of_openface() -> None:
    found = import_csv(sorted((SHARED / "ravdess_au").glob("actor_*.csv")))
    assert (len(found.tracks), found.frames, found.failed) == (300, 33_493, 0)
    rows = csv.DictReader((SHARED / "ravdess_au" / "clips.csv").read_text().splitlines())
    lengths = {row["clip"]: int(row["frames"]) for row in rows}
    assert {t.clip: len(t.frames) for t in found.tracks} == lengths
    with pytest.raises(InputError, match="neither"):
        import_csv([SHARED / "openface_misc" / "emotionet_4images_aus.csv"])
