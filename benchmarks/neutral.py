"""How much of a photo's own smile the AUs of the muscle generator could take off, before an onset is made of it.

    python -m benchmarks.neutral --pairs DIR [--picture FILE] [--out FILE]

DIR holds two photos of each person, as benchmarks/pairs.py says. Nobody's neutral face is known from a smiling photo
alone, so intensities ≥ 0 of SMILE are read off one mesh by a ridge regression, which learns from both photos of other
people (6 folds over people): a neutral mesh has none, a smiling one those that best explain the way from that person's
neutral mesh. Meshes are aligned rigidly in three dimensions (with scale) at landmarks that no muscle of a smile moves.
What is read is taken off, and the result compared with the person's neutral mesh: share of the squared motion of the
smile that is gone, over all landmarks of the skin. Neutral photos should not move.

--picture draws smiling photo, the same with the AUs taken off by a warp, and neutral photo of eight people.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from benchmarks.anatomy import SKIN, STILL, field_at_landmarks, rigid
from benchmarks.page import page, parser
from benchmarks.pairs import add_pairs, pairs_of
from miex.aus.vector import from_mapping
from miex.executors.local import one_thread
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, inter_ocular, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.generators.grid import warp
from miex.generators.muscle import MuscleGenerator
from miex.images import Image, read_image

SMILE = (6, 10, 12, 14, 25, 26)
FOLDS, RIDGE = 6, 0.1
OPEN = 0.03  # between the lips, inter-ocular distances: from here on the mouth is open
LIPS = 13, 14
SIZE = 256
Floats = npt.NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("neutral", __doc__)
    add_pairs(options)
    options.add_argument("--picture", type=Path, help="Picture to write.")
    given = options.parse_args(arguments)
    if given.pairs is None:
        print("no --pairs: skipped")
        return
    neutral, smiling = pairs_of(given.pairs, FOLDS)
    title = "A photo's own smile, taken off before the onset"
    with page(title, options, given), one_thread(), Landmarker(MODEL.find()) as landmarker:
        meshes = [[_mesh(landmarker, path) for path in paths] for paths in (neutral, smiling)]
        template = meshes[0][0] / inter_ocular(meshes[0][0])
        for _ in range(3):
            template = np.mean([rigid(one, template, STILL) for one in meshes[0]], axis=0)
        rest, smile = (np.stack([rigid(one, template, STILL)[SKIN, :2] for one in part]) for part in meshes)
        fields = basis(template)
        best = explained(rest, smile, fields)
        read_rest, read_smile = read(rest, smile, best)
        report(rest, smile, read_rest, read_smile, best, fields)
        if given.picture:
            gap = smile[:, LIPS[1], 1] - smile[:, LIPS[0], 1]
            order = np.argsort(gap)
            chosen = order[np.linspace(0, len(order) - 1, 8).round().astype(int)]
            rows = [_row(neutral[i], smiling[i], meshes[0][i], meshes[1][i], read_smile[i]) for i in chosen]
            half = [np.vstack(rows[:4]), np.vstack(rows[4:])]
            cv2.imwrite(str(given.picture), np.hstack(half)[..., ::-1])


def _mesh(landmarker: Landmarker, path: Path) -> Floats:
    found = landmarker.detect(read_image(path))
    return np.asarray(found.landmarks[found.largest], np.float64)


def basis(template: Floats) -> Floats:
    """What each AU of SMILE does to a mean face at intensity 1, inter-ocular distances [AUs, 468, 2]."""
    blank = np.zeros((OVERSAMPLING * 127 + 1,) * 2 + (3,), np.uint8)
    unit = 39.0
    points = template[:, :2] - template[STILL, :2].mean(0)
    face = AlignedFace(blank, 128, (points * unit + (63.5, 48.6)).astype(np.float32))
    return np.stack([field_at_landmarks(face, au) for au in SMILE]) * inter_ocular(template)


def explained(rest: Floats, smile: Floats, fields: Floats) -> Floats:
    """Intensities that best explain the way from each neutral mesh to the smiling one, [people, AUs]."""
    columns = fields.reshape(len(SMILE), -1).T
    return np.array([nnls(columns, motion.ravel())[0] for motion in smile - rest])


def read(rest: Floats, smile: Floats, best: Floats) -> tuple[Floats, Floats]:
    """Intensities read off each neutral and each smiling mesh by what was learned from other people, [people, AUs];
    `best`: from `explained`."""
    n = len(rest)
    found = np.zeros((2, n, len(SMILE)))
    for fold in range(FOLDS):
        tested = np.arange(n) % FOLDS == fold
        known = np.concatenate([rest[~tested], smile[~tested]]).reshape(2 * (~tested).sum(), -1)
        truth = np.concatenate([np.zeros_like(best[~tested]), best[~tested]])
        middle, level = known.mean(0), truth.mean(0)
        kernel = (known - middle) @ (known - middle).T
        weights = (known - middle).T @ np.linalg.solve(kernel + RIDGE * np.eye(len(known)), truth - level)
        for to, meshes in zip(found, (rest, smile), strict=True):
            to[tested] = np.maximum(0, (meshes[tested].reshape(tested.sum(), -1) - middle) @ weights + level)
    return found[0], found[1]


def report(rest: Floats, smile: Floats, read_rest: Floats, read_smile: Floats, best: Floats, fields: Floats) -> None:
    """Print the table."""
    motion = smile - rest
    left, least = (motion - np.tensordot(aus, fields, 1) for aus in (read_smile, best))
    share, most = (1 - (kept**2).sum((1, 2)) / (motion**2).sum((1, 2)) for kept in (left, least))
    print(
        f"AUs {', '.join(map(str, SMILE))} of {len(rest)} people. Distances are rms over {rest.shape[1]} landmarks, in"
    )
    print("inter-ocular distances, after the head's motion is taken out.\n")
    is_open = smile[:, LIPS[1], 1] - smile[:, LIPS[0], 1] > OPEN

    def rms(moved: Floats) -> Floats:
        return np.sqrt((moved**2).sum(-1).mean(-1))

    print("| smiling photos | n | from neutral | after | squared motion gone: median | worst tenth | farther after |")
    print("|---|---|---|---|---|---|---|")
    for name, some in (("all", is_open | ~is_open), ("lips closed", ~is_open), ("lips open", is_open)):
        numbers = " | ".join(f"{np.median(rms(moved[some])):.4f}" for moved in (motion, left))
        worst, farther = np.percentile(share[some], 10), (share[some] < 0).sum()
        print(f"| {name} | {some.sum()} | {numbers} | {np.median(share[some]):.2f} | {worst:.2f} | {farther} |")
    stray = rms(np.tensordot(read_rest, fields, 1))
    print(f"\nWith the person's own neutral mesh known, the same AUs explain {np.median(most):.0%} (median).")
    print(f"Neutral photos move by {np.median(stray):.4f} in the median, worst 5 %: {np.percentile(stray, 95):.4f}.")


def _row(neutral: Path, smiling: Path, rest: Floats, smile: Floats, aus: Floats) -> Image:
    photo = read_image(smiling)
    face = align(photo, smile, place_crop(smile, CropOptions(SIZE)), SIZE)
    generator = MuscleGenerator()
    z = from_mapping({au: float(min(1, value)) for au, value in zip(SMILE, aus, strict=True)})
    (taken,) = warp(face.crop[None], -generator.displacement(generator.prepare(face), z[None]))
    true = align(read_image(neutral), rest, place_crop(rest, CropOptions(SIZE)), SIZE).crop
    return np.hstack([face.crop, taken, true])


if __name__ == "__main__":
    main()
