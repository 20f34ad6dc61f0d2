"""A place in which the examples of the documents run: what they name is there, and small."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import xlsxwriter
from PIL import Image
from python_calamine import CalamineWorkbook

import miex
from tests.support import photo_folder


@pytest.fixture(scope="session")
def casme2(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A fake of three people; its table names two clips of each, for to see the AUs of a clip takes a second."""
    folder = tmp_path_factory.mktemp("corpus") / "CASME2"
    made = miex.corpora.fake("casme2", folder, subjects=3, size=128, landmarker=model)
    assert made.events == 18
    (path,) = folder.glob("CASME2*.xlsx")
    first, *rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate([first, *(row for k, row in enumerate(rows) if k in (0, 1, 7, 8, 12, 14))]):
            sheet.write_row(i, 0, row)
    return folder


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory, face_photo: Path) -> Path:
    """A folder with onset.png and apex.png: a face that smiles a little."""
    folder = tmp_path_factory.mktemp("pair")
    moved = miex.render(face_photo, {12: 0.4, 6: 0.3})
    for name in ("onset", "apex"):
        Image.fromarray(getattr(moved, name)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, casme2: Path, pair: Path, face_photo: Path) -> Path:
    """A folder with what the examples name, as home and working folder; no browser; short trainings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(casme2, tmp_path / "CASME2")
    shutil.copytree(casme2, tmp_path / "fake-casme2")
    for name in ("photos", "my-photos"):
        photo_folder(tmp_path / name, 2)
    shutil.copy(face_photo, tmp_path / "photo.png")
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True)
    with Image.open(face_photo) as photo:
        photo.convert("RGB").save("me.jpg")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    from miex.recognition import recipe as recipes

    whole = recipes.load_recipe
    monkeypatch.setattr(recipes, "load_recipe", lambda name: whole(name).but(samples_seen=256))
    return tmp_path
