"""How much of a photo's own smile the AUs of the muscle generator could take off, before an onset is made of it.

    python -m benchmarks.neutral --pairs DIR [--out F.png]

DIR holds two photos of each person, NAME_neutral.* and NAME_smiling.* (the Face Research Lab London Set has them).
Nobody's neutral face is known from a smiling photo alone, so intensities ≥ 0 of SMILE are read off one mesh by a ridge
regression, which learns from both photos of other people (6 folds over people): a neutral mesh has none, a smiling one
those that best explain the way from that person's neutral mesh. Meshes are aligned rigidly in three dimensions (with
scale) at landmarks that no muscle of a smile moves. What is read is taken off, and the result compared with the
person's neutral mesh: share of the squared motion of the smile that is gone, over all landmarks of the skin. Neutral
photos should not move.

--out draws smiling photo, the same with the AUs taken off by a warp, and neutral photo of eight people.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from benchmarks.anatomy import SKIN, STILL, field_at_landmarks, rigid
from miex.aus.vector import from_mapping
from miex.errors import InputError
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="Folder of the photos. Without it there is nothing to measure.")
    parser.add_argument("--out", type=Path, help="Picture to write.")
    options = parser.parse_args(arguments)
    if options.pairs is None:
        print("no --pairs: skipped")
        return
    neutral = sorted(options.pairs.glob("*_neutral.*"))
    smiling = [path.with_name(path.name.replace("_neutral.", "_smiling.")) for path in neutral]
    if len(neutral) < FOLDS or not all(path.is_file() for path in smiling):
        raise InputError(f"pairs of {options.pairs}", expected=f"NAME_neutral.* and NAME_smiling.* of {FOLDS} people")
    with one_thread(), Landmarker(MODEL.find()) as landmarker:
        meshes = [[_mesh(landmarker, path) for path in paths] for paths in (neutral, smiling)]
        template = meshes[0][0] / inter_ocular(meshes[0][0])
        for _ in range(3):
            template = np.mean([rigid(one, template, STILL) for one in meshes[0]], axis=0)
        rest, smile = (np.stack([rigid(one, template, STILL)[SKIN, :2] for one in part]) for part in meshes)
        fields = basis(template)
        read_rest, read_smile = read(rest, smile, fields)
        report(rest, smile, read_rest, read_smile, fields)
        if options.out:
            gap = smile[:, LIPS[1], 1] - smile[:, LIPS[0], 1]
            order = np.argsort(gap)
            chosen = order[np.linspace(0, len(order) - 1, 8).round().astype(int)]
            rows = [_row(neutral[i], smiling[i], meshes[0][i], meshes[1][i], read_smile[i]) for i in chosen]
            half = [np.vstack(rows[:4]), np.vstack(rows[4:])]
            cv2.imwrite(str(options.out), np.hstack(half)[..., ::-1])


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


def read(rest: Floats, smile: Floats, fields: Floats) -> tuple[Floats, Floats]:
    """Intensities read off each neutral and each smiling mesh by what was learned from other people, [people, AUs]."""
    n = len(rest)
    columns = fields.reshape(len(SMILE), -1).T
    best = np.array([nnls(columns, motion.ravel())[0] for motion in smile - rest])
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


def report(rest: Floats, smile: Floats, read_rest: Floats, read_smile: Floats, fields: Floats) -> None:
    """Print the table."""
    motion = smile - rest
    left = motion - np.tensordot(read_smile, fields, 1)
    share = 1 - (left**2).sum((1, 2)) / (motion**2).sum((1, 2))
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
    print(f"\nneutral photos move by {np.median(stray):.4f} in the median, worst 5 %: {np.percentile(stray, 95):.4f}")


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
