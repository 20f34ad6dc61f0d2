"""Faces of a plan: photos read once for relatives, and refused when they are others than planned."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from miex.faces import planned
from miex.faces.planned import load_face
from miex.images import MAX_BYTES, ImageError
from tests.support import photo_folder, plan_of


def test_relatives_share_what_is_read_and_a_changed_photo_is_refused(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = photo_folder(tmp_path / "photos", 2)
    faces = plan_of(photos, model, ids=6, size=64).faces.to_pylist()
    alone = []
    for face in faces:
        planned._aligned.cache_clear()
        alone.append(load_face(photos, face, 64))
    planned._aligned.cache_clear()
    aligned, align = [], planned.align
    monkeypatch.setattr(planned, "align", lambda *asked: aligned.append(asked) or align(*asked))
    for face, one in zip(faces, alone, strict=True):
        found = load_face(photos, face, 64)
        assert np.array_equal(found.samples, one.samples)
        assert np.array_equal(found.landmarks, one.landmarks)
    assert len(aligned) == 2
    assert load_face(photos, faces[-1], 96).size == 96
    with pytest.raises(ImageError, match="other bytes"):
        load_face(photos, {**faces[-1], "sha256": "0" * 64}, 96)
    other = {**faces[-1], "landmarks": [z + 1 for z in faces[-1]["landmarks"]]}
    assert not np.array_equal(load_face(photos, other, 96).landmarks, load_face(photos, faces[-1], 96).landmarks)
    assert planned._aligned.cache_info().currsize == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_photo_that_became_a_pipe_or_endless_is_not_read(tmp_path: Path, model: Path) -> None:
    photos = photo_folder(tmp_path / "photos", 1)
    (face,) = plan_of(photos, model, ids=1, size=64).faces.to_pylist()
    photo = photos / face["path"]
    with photo.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # takes no room
    with pytest.raises(ImageError, match=f"at most {MAX_BYTES:,}"):
        load_face(photos, face, 64)
    photo.unlink()
    os.mkfifo(photo)
    with pytest.raises(ImageError, match="a pipe"):
        load_face(photos, face, 64)
