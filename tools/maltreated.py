"""Twenty maltreated photos of the embedded face, and a picture of them with what `miex faces index` says of each.

python -m tools.maltreated FOLDER    # the photos, and FOLDER/verdicts.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image as PillowImage

from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.mesh import OVAL
from miex.faces.photos import default_pool, list_photos
from miex.images import Image, read_image

_GLASSES = (226, 446, 105, 334, 111, 340, 193, 417)
_COLORS = {"white": (225, 228, 230), "blue": (130, 175, 210), "black": (25, 25, 28), "skin": (214, 165, 140)}


def maltreated(face: Image, mesh: np.ndarray) -> dict[str, Image]:
    """The photos by name, uint8 RGB, or uint16 for files of 16 bits; `mesh` is that of the face, [478, 3]."""
    height, width = face.shape[:2]
    rng = np.random.default_rng(0)

    def over(part: list[int], paint: Image | tuple[int, int, int]) -> Image:
        mask = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(mesh[part, :2].astype(np.int32)), 255)
        soft = cv2.GaussianBlur(mask, (0, 0), 1)[..., None] / 255
        return np.asarray(face * (1 - soft) + np.asarray(paint) * soft, np.uint8)

    def tilted(degrees: float) -> Image:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.85)
        return np.asarray(cv2.warpAffine(face, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)

    mask = [i for i in OVAL if mesh[i, 1] > mesh[5, 1]] + [195]
    noise = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) for plane in rng.normal(size=(3, height, width))], axis=2)
    gray = face.mean(axis=2).astype(np.uint16)
    return {
        "upright": face,
        **{f"turned {90 * k}": np.ascontiguousarray(np.rot90(face, k)) for k in (1, 2, 3)},
        "tilted 30": tilted(30),
        "tilted 45": tilted(-45),
        "tilted 210": tilted(210),
        "dark": (face * 0.08).astype(np.uint8),
        "blurred": np.asarray(cv2.GaussianBlur(face, (0, 0), width / 60), np.uint8),
        **{f"mask {name}": over(mask, color) for name, color in _COLORS.items()},
        "mask colorful": over(mask, np.clip(128 + noise / noise.std() * 50, 0, 255).astype(np.uint8)),
        "glasses dark": over(list(_GLASSES), (22, 22, 22)),
        "glasses mirror": over(
            list(_GLASSES), np.repeat(np.linspace(200, 90, height)[:, None, None], 3, axis=2).astype(np.uint8)
        ),
        "12 bits of 16": gray * 16,
        "gray": np.repeat(gray[..., None], 3, axis=2).astype(np.uint8),
        "small": np.asarray(cv2.resize(face, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8),
        "texture": np.clip(128 + noise / noise.std() * 50, 0, 255).astype(np.uint8),
    }


def main(out: Path) -> None:
    pool = default_pool()
    face = read_image(pool / list_photos(pool)[0])
    with Landmarker(MODEL.find()) as landmarker:
        mesh = landmarker.mesh(face)
    assert mesh is not None
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        for name, picture in maltreated(face, mesh).items():
            PillowImage.fromarray(picture).save(Path(folder) / f"{name}.png")
            PillowImage.fromarray(picture).save(out / f"{name}.png")
        rows = {row["path"][:-4]: row for row in index_photos(Path(folder), model=MODEL.find).to_pylist()}
    tiles = []
    for name, picture in maltreated(face, mesh).items():
        shown = picture if picture.dtype == np.uint8 else np.repeat((picture >> 8)[..., None], 3, 2).astype(np.uint8)
        tile = np.full((250, 200, 3), 255, np.uint8)
        tile[:200] = cv2.resize(shown, (200, 200), interpolation=cv2.INTER_AREA)
        row = rows[name]
        said = row["reason"] or ("used" + (f", turned {row['turn']}" if row["turn"] else ""))
        for y, text in ((217, name), (240, said)):
            cv2.putText(tile, text, (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        tiles.append(tile)
    sheet = np.vstack([np.hstack(tiles[i : i + 5]) for i in range(0, len(tiles), 5)])
    PillowImage.fromarray(sheet).save(out / "verdicts.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
