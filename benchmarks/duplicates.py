"""How well `miex faces duplicates` knows copies of a photo again, and what it takes for one that is none.

    python -m benchmarks.duplicates --faces DIR [--pairs DIR] [--n 200] [--out FILE]

DIR holds photos, each of another person. All pairs of them are compared; then N of them, evenly spread, are changed as
copies are that go round, and compared with all as another pool: faces are found anew, and copies that an index refuses
are not compared, as in the command. With --pairs, a folder as benchmarks/pairs.py says, two pictures of one person are
compared, too: a neutral and a smiling photo.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from benchmarks.page import page, parser
from benchmarks.pairs import add_pairs, pairs_of
from miex.executors.local import available_workers, local_executor
from miex.faces.duplicates import PERSON, PICTURE, SAME_PERSON, SAME_PICTURE, Pool, describe, find_duplicates
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.sface import SFACE
from miex.images import Image, gray, read_image

_LEVELS = np.arange(256) / 255


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("duplicates", __doc__)
    options.add_argument("--faces", type=Path, help="Folder of photos. Without it there is nothing to measure.")
    add_pairs(options)
    options.add_argument("--n", type=int, default=200, help="Photos that are copied.")
    given = options.parse_args(arguments)
    if given.faces is None:
        print("no --faces: skipped")
        return
    model, sface = MODEL.find(), SFACE.find()
    with page("Copies of photos that are known again", options, given), tempfile.TemporaryDirectory() as folder:
        # what is found in copies that soon are gone is not kept
        os.environ["MIEX_CACHE"] = str(Path(folder) / "cache")
        pool = _indexed("pool", given.faces, model)
        _among_photos(pool, sface)
        _among_copies(pool, given.n, Path(folder) / "copies", model, sface)
        if given.pairs is not None:
            _among_pairs(given.pairs, model, sface)


def _indexed(name: str, folder: Path, model: Path) -> Pool:
    work = local_executor(available_workers())
    return Pool(name, folder, index_photos(folder, model=lambda: model, executor=work))


def _among_photos(pool: Pool, sface: Path) -> None:
    """Photos of different people, whom a faces.csv tells to be real or synthetic."""
    rows = [{"root": pool.root, **row} for row in pool.index.to_pylist() if not row["reason"]]
    seen = describe(rows, sface, local_executor(available_workers()))
    assert seen.person is not None
    picture, person = (1 - vectors @ vectors.T for vectors in (seen.picture, seen.person))
    pairs = np.triu(np.ones_like(picture, bool), 1)
    print(f"{pool.index.num_rows} photos, of which {len(rows)} can be used. One picture is what is nearer than")
    print(f"{SAME_PICTURE} and, to SFace, nearer than {SAME_PERSON}, as one person is. Nobody is there twice, so")
    print("whatever is told here is a mistake.\n")
    print("| photos | n | pairs | nearest pictures | nearest persons | told: same picture | same person |")
    print("|---|---|---|---|---|---|---|")
    kinds = np.array([row["kind"] or "unknown" for row in rows])
    for kind in ("all", *sorted(set(kinds))):
        own = np.ones(len(rows), bool) if kind == "all" else kinds == kind
        these = pairs & own[:, None] & own
        one_person = person[these] < SAME_PERSON
        one_picture = one_person & (picture[these] < SAME_PICTURE)
        print(
            f"| {kind} | {own.sum()} | {these.sum():,} | {picture[these].min():.3f} | {person[these].min():.3f} "
            f"| {one_picture.sum()} | {one_person.sum() - one_picture.sum()} |"
        )


def _among_copies(pool: Pool, n: int, folder: Path, model: Path, sface: Path) -> None:
    rows = [row for row in pool.index.to_pylist() if not row["reason"]]
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int)]
    for name in COPIES:
        (folder / name).mkdir(parents=True)
    for number, row in enumerate(chosen):
        photo = read_image(pool.root / row["path"])
        mesh = np.asarray(row["landmarks"], np.float64).reshape(-1, 3)[:, :2]
        for name, copied in COPIES.items():
            PillowImage.fromarray(copied(photo, mesh)).save(folder / name / f"{number:04d}.png")
    copies = _indexed("copies", folder, model)
    found = find_duplicates([pool, copies], sface, executor=local_executor(available_workers()))
    across = [row for row in found.to_pylist() if row["pool"] != row["other_pool"]]
    usable: Counter[str] = Counter()
    for path, reason in zip(copies.index["path"].to_pylist(), copies.index["reason"].to_pylist(), strict=True):
        usable[path.partition("/")[0]] += not reason
    print(f"\n{len(chosen)} photos, copied in each of these ways:\n")
    print("| copy | can be used | told: same picture | same person | nothing | same picture as another photo |")
    print("|---|---|---|---|---|---|")
    for name in COPIES:
        right: Counter[str] = Counter()
        wrong = 0
        for row in across:
            kind, number = row["other_photo"].removesuffix(".png").split("/")
            if kind == name and row["photo"] == chosen[int(number)]["path"]:
                right[row["kind"]] += 1
            elif kind == name:
                wrong += row["kind"] == PICTURE
        n_used = usable[name]
        share = f"{right[PICTURE]} ({right[PICTURE] / max(1, n_used):.1%})"
        left = n_used - right[PICTURE] - right[PERSON]
        print(f"| {name} | {n_used} | {share} | {right[PERSON]} | {left} | {wrong} |")


def _among_pairs(folder: Path, model: Path, sface: Path) -> None:
    neutral, smiling = pairs_of(folder, 2)
    pool = _indexed("pairs", folder, model)
    usable = {row["path"] for row in pool.index.to_pylist() if not row["reason"]}
    of = {one.name: other.name for one, other in zip(neutral, smiling, strict=True)}
    both = sum(one in usable and other in usable for one, other in of.items())
    told: Counter[str] = Counter()
    for row in find_duplicates([pool], sface, executor=local_executor(available_workers())).to_pylist():
        own = {row["photo"], row["other_photo"]} in [{one, other} for one, other in of.items()]
        told[f"{row['kind']}, {'one' if own else 'two'}"] += 1
    one, two = ((told[f"{PICTURE}, {who}"], told[f"{PERSON}, {who}"]) for who in ("one", "two"))
    print(f"\nOf {both} people a neutral and a smiling photo can be used. {one[0]} of these pairs are told to be one")
    print(f"picture, {one[1]} one person; of photos of two people, {two[0]} pairs one picture, {two[1]} one person.")


def _encoded(quality: int) -> Callable[[Image, np.ndarray], Image]:
    def copied(photo: Image, mesh: np.ndarray) -> Image:
        content = io.BytesIO()
        PillowImage.fromarray(photo).save(content, "JPEG", quality=quality)
        return np.asarray(PillowImage.open(content).convert("RGB"))

    return copied


def _resized(by: float) -> Callable[[Image, np.ndarray], Image]:
    how = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
    return lambda photo, mesh: np.asarray(cv2.resize(photo, None, fx=by, fy=by, interpolation=how), np.uint8)


def _cropped(by: float) -> Callable[[Image, np.ndarray], Image]:
    """To so many times the height and width of the face."""

    def copied(photo: Image, mesh: np.ndarray) -> Image:
        low, high = mesh.min(0), mesh.max(0)
        margin = (by - 1) / 2 * (high - low)
        (x0, y0), (x1, y1) = np.maximum(low - margin, 0).astype(int), (high + margin).astype(int)
        return np.ascontiguousarray(photo[y0:y1, x0:x1])

    return copied


def _lit(by: Callable[[np.ndarray], np.ndarray]) -> Callable[[Image, np.ndarray], Image]:
    table = np.clip(255 * by(_LEVELS), 0, 255).round().astype(np.uint8)
    return lambda photo, mesh: table[photo]


def _in_turn(*steps: Callable[[Image, np.ndarray], Image]) -> Callable[[Image, np.ndarray], Image]:
    def copied(photo: Image, mesh: np.ndarray) -> Image:
        for step in steps:
            photo = step(photo, mesh)
        return photo

    return copied


COPIES: dict[str, Callable[[Image, np.ndarray], Image]] = {
    "JPEG of quality 30": _encoded(30),
    "JPEG of quality 10": _encoded(10),
    "twice the size": _resized(2),
    "half the size": _resized(0.5),
    "0.35 of the size": _resized(0.35),
    "cropped to 1.5 times the face": _cropped(1.5),
    "cropped to 1.16 times the face": _cropped(1.16),
    "lighter by 1.3": _lit(lambda x: 1.3 * x),
    "darker by 0.6": _lit(lambda x: 0.6 * x),
    "gamma 0.7": _lit(lambda x: x**0.7),
    "gray": lambda photo, mesh: np.repeat(gray(photo)[..., None], 3, 2),
    "cropped to 1.5, 0.6 of the size, lighter, JPEG 50": _in_turn(
        _cropped(1.5), _resized(0.6), _lit(lambda x: 1.3 * x), _encoded(50)
    ),
}  # fmt: skip


if __name__ == "__main__":
    main()
