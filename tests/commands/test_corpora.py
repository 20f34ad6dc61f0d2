"""`miex corpora …` as a user types it, with faces that really move."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from miex.corpora.catalog import corpora, read
from miex.dataset.frames import DIGITAL_SOURCE_TYPE
from tests.support import command, facts, photo_folder


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    folder = tmp_path_factory.mktemp("fake") / "smic-e"
    made = facts("corpora", "fake", "smic-e", folder, "--subjects", 2, "--size", 64, "--landmarker", model)
    assert made["events"] == 7
    return folder


def test_fake_then_check_then_index(fake: Path, tmp_path: Path) -> None:
    report = facts("corpora", "check", "smic-e", fake)
    assert report["clips"] == report["with_frames"] == 7
    assert report["labels"] == {"negative": 3, "positive": 2, "surprise": 2}
    text = command("corpora", "check", "smic-e", fake).stdout
    assert "7 of 2 subjects, 7 with frames" in text
    assert text.endswith("every row can be read\n")
    done = command("corpora", "index", "smic-e", fake, "--out", tmp_path / "clips.csv")
    assert done.returncode == 0, done.stderr
    assert [c.clip for c in read("mine", tmp_path).clips] == [c.clip for c in read("smic-e", fake).clips]


def test_faces_move_from_onset_to_apex_and_back(fake: Path) -> None:
    """By the frames alone: what differs from the onset grows to the apex that was faked, and goes."""
    truth = {(t["clip"], t["onset"]): t for t in json.loads((fake / "fake.json").read_text())["clips"]}
    people = {}
    for clip in read("smic-e", fake).clips:
        frames = [cv2.imread(str(path)).astype(np.float64) for path in clip.frames]
        people.setdefault(clip.subject, frames[0])
        true = truth[clip.clip, clip.published[0]]
        assert clip.onset is not None
        assert clip.offset is not None
        differences = [np.abs(frame - frames[clip.onset]).mean() for frame in frames]
        apex = true["numbers"].index(true["apex"])
        assert max(range(clip.onset, clip.offset + 1), key=differences.__getitem__) in (apex - 1, apex, apex + 1)
        assert differences[apex] > 4 * differences[clip.offset]
        assert differences[apex] > 0.2
    one, other = people.values()
    assert np.abs(one - other).mean() > 5


def test_frames_say_that_they_are_synthetic(fake: Path) -> None:
    for path in fake.rglob("*.jpg"):
        assert DIGITAL_SOURCE_TYPE.encode() in path.read_bytes()


def test_gray_corpora_are_gray(tmp_path: Path, model: Path) -> None:
    facts("corpora", "fake", "ckplus", tmp_path / "x", "--subjects", 2, "--size", 32, "--landmarker", model)
    clip = read("ckplus", tmp_path / "x").clips[0]
    assert cv2.imread(str(clip.frames[0]), cv2.IMREAD_UNCHANGED).ndim == 2
    assert DIGITAL_SOURCE_TYPE.encode() in clip.frames[0].read_bytes()


def test_bitmaps_can_be_opened(tmp_path: Path, model: Path) -> None:
    facts("corpora", "fake", "smic", tmp_path / "x", "--subjects", 2, "--size", 32, "--landmarker", model)
    frame = read("smic", tmp_path / "x").clips[0].frames[0]
    assert frame.suffix == ".bmp"
    assert cv2.imread(str(frame)).shape == (32, 32, 3)


def test_frames_of_a_table(fake: Path, tmp_path: Path) -> None:
    table = fake / "SMIC-E_raw image" / "HS_long" / "SMIC-HS-E_annotation.xlsx"
    made = facts("corpora", "fake", "smic-e", tmp_path / "x", "--table", table)
    assert made["events"] == 7
    again = read("smic-e", tmp_path / "x").clips
    assert [c.published for c in again] == [c.published for c in read("smic-e", fake).clips]
    assert len({frame.stat().st_ino for clip in again for frame in clip.frames}) == 1  # links to one tiny image


def test_list() -> None:
    rows = json.loads(command("corpora", "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(corpora())
    assert all(row["to get it"] for row in rows)
    assert "samm-028_4_1-apex" in command("corpora", "list", "--corrections").stdout
    assert "mie-x-code" in command("corpora", "list", "--mappings").stdout


def test_errors_say_what_to_do(fake: Path, tmp_path: Path) -> None:
    done = command("corpora", "check", "casme2", tmp_path)
    assert done.returncode == 3
    assert "miex corpora fake casme2" in done.stderr
    assert command("corpora", "check", "casme4", tmp_path).returncode == 2
    assert command("corpora", "fake", "smic-e", fake).returncode == 5
    broken = tmp_path / "clips.csv"
    broken.write_text("subject,clip,onset,apex,offset,emotion\na,b,3,4,2,joy\nc,d,1,2,3,anger\n")
    done = command("corpora", "check", "mine", tmp_path)
    assert done.returncode == 4
    assert "expected: an offset after the onset, 3" in done.stdout
    assert "row 2" in done.stdout
    assert command("corpora", "index", "mine", tmp_path, "--out", tmp_path / "x.csv").returncode == 3
    assert not (tmp_path / "x.csv").exists()
    done = command("corpora", "index", "mine", tmp_path, "--out", tmp_path / "x.csv", "--on-error", "skip")
    assert done.returncode == 0
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 2


def test_faces_list(tmp_path: Path) -> None:
    source = photo_folder(tmp_path / "source", 2)
    for i in (0, 1):
        target = tmp_path / "ffhq" / "thumbnails128x128" / f"{i * 60:02d}000" / f"{i * 60000:05d}.png"
        target.parent.mkdir(parents=True)
        target.write_bytes((source / f"{i}.png").read_bytes())
    pool, out = tmp_path / "ffhq", tmp_path / "ffhq" / "list.txt"
    done = command("faces", "list", pool, "--where", "partition=validation", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 photos of FFHQ" in done.stdout
    assert out.read_text() == "thumbnails128x128/60000/60000.png\n"
    assert command("faces", "list", source, "--where", "partition=train", "--out", source / "l.txt").returncode == 2
    assert command("faces", "list", pool, "--where", "partition", "--out", out).returncode == 2


def test_the_page_of_corpora() -> None:
    """Its number of corpora, and its columns of clips.csv."""
    section = (Path(__file__).parents[2] / "docs" / "your-corpus.md").read_text("utf-8")
    assert f"# {len(corpora())} names" in section
    columns = corpora()["plain"].columns
    assert columns is not None
    for name in columns.names:
        assert f"`{name}`" in section
