"""How the muscles' motion agrees with measured motion, at the landmarks.

    python -m benchmarks.anatomy [--shared ../shared] [--out FILE]

Two references, lent for calibration and never shipped; without them there is nothing to print:

- `au-displacements.csv`: a scanned-face model's mean motion for each AU. Cosine over all skin landmarks, and gain: our
  longest displacement over its longest. What those below ENOUGH miss: reaches are shorter here, as real
  micro-expressions move skin locally; AU 12 holds the middle of the lips still and lets the cheek swell outward, as
  real micro-smiles do; the model's nose wrinkler balloons the upper lip (9); its chin takes the outline of the jaw
  along, ours leaves it (17); its lips part by the whole lower face (25).
- `faces/pairs`: neutral and smiling photos of the same people. Smiles are aligned rigidly in three dimensions (with
  scale) at landmarks that no muscle of a smile moves; what is left is compared with AU 6, 10, 12, 25 and their best sum
  with weights ≥ 0: cosine with the mean motion, and the share of its squares that the sum explains.
"""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from benchmarks.page import page, parser
from miex.aus.vector import AU_NUMBERS, from_mapping
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.generators.muscle import MuscleGenerator
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame
from miex.generators.muscle.cuts import at_points
from miex.generators.muscle.generator import GRID
from miex.images import read_image

SHARED = Path(__file__).resolve().parents[2] / "shared"
SKIN = slice(0, 468)
SMILE = (6, 10, 12, 25)
ENOUGH = 0.8  # cosine
# no muscle of a smile moves them: forehead, bridge of the nose, corners of the eyes, before the ears
STILL = [10, 151, 9, 8, 168, 6, 197, 33, 133, 362, 263, 127, 356, 234, 454, 54, 284, 109, 338]
Floats = npt.NDArray[np.float64]


def field_at_landmarks(face: AlignedFace, au: int) -> Floats:
    """Displacement of the skin's landmarks by an AU at intensity 1, inter-ocular distances [468, 2]."""
    generator = MuscleGenerator()
    field = generator.displacement(generator.prepare(face), from_mapping({au: 1})[None])
    frame = FaceFrame(face, load(), GRID)
    return at_points(field, face.landmarks[SKIN], frame)[0].astype(float) / face.inter_ocular


def cosine(a: Floats, b: Floats) -> float:
    """Of two sets of displacements, all points together."""
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def model_motion(path: Path) -> tuple[Floats, dict[int, Floats]]:
    """The scanned model's mean landmarks and motion, both sides, [478, 2], inter-ocular distances."""
    points, motion = np.zeros((478, 2)), {au: np.zeros((478, 2)) for au in AU_NUMBERS}
    with path.open() as file:
        for row in csv.DictReader(file):
            points[int(row["landmark"])] = float(row["x"]), float(row["y"])
            motion[int(row["au"])][int(row["landmark"])] += float(row["dx"]), float(row["dy"])
    return points, motion


def against_the_model(path: Path) -> dict[int, tuple[float, float]]:
    """Cosine and gain of each AU against the scanned model."""
    points, motion = model_motion(path)
    blank = np.zeros((OVERSAMPLING * 127 + 1,) * 2 + (3,), np.uint8)
    face = AlignedFace(blank, 128, (points * 39 + (63.5, 48.6)).astype(np.float32))
    found = {}
    for au in AU_NUMBERS:
        ours, theirs = field_at_landmarks(face, au), motion[au][SKIN]
        found[au] = cosine(ours, theirs), float(np.hypot(*ours.T).max() / np.hypot(*theirs.T).max())
    return found


def rigid(source: Floats, target: Floats, still: list[int]) -> Floats:
    """The source [n, 3] after the rotation, scale and shift that bring its still points nearest to the target's."""
    a, b = source[still], target[still]
    middle_a, middle_b = a.mean(0), b.mean(0)
    u, s, v = np.linalg.svd((b - middle_b).T @ (a - middle_a))
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
    scale = (s * [1, 1, np.sign(np.linalg.det(u @ v))]).sum() / ((a - middle_a) ** 2).sum()
    return (source - middle_a) @ turn.T * scale + middle_b


def smiles(folder: Path, size: int = 128) -> tuple[Floats, dict[int, Floats]]:
    """Of each person: residual motion of the smile and the fields of SMILE, inter-ocular distances [people, 468, 2]."""
    motion: list[Floats] = []
    fields: dict[int, list[Floats]] = {au: [] for au in SMILE}
    with Landmarker(MODEL.find()) as landmarker:
        for path in sorted(folder.glob("*_neutral.jpg")):
            photo = read_image(path)
            before = landmarker.detect(photo)
            after = landmarker.detect(read_image(path.with_name(path.name.replace("neutral", "smiling"))))
            if not (len(before.landmarks) and len(after.landmarks)):
                continue
            rest, smile = (np.asarray(found.landmarks[found.largest], float) for found in (before, after))
            place = place_crop(rest, CropOptions(size))
            face = align(photo, rest, place, size)
            linear = np.linalg.inv(place.photo_from_crop(size)[:, :2])
            moved = (rigid(smile, rest, STILL) - rest)[SKIN, :2] @ linear.T
            motion.append(moved / face.inter_ocular)
            for au in SMILE:
                fields[au].append(field_at_landmarks(face, au))
    return np.stack(motion), {au: np.stack(rows) for au, rows in fields.items()}


def main(arguments: list[str] | None = None) -> None:
    """Print both tables."""
    options = parser("anatomy", __doc__)
    options.add_argument("--shared", type=Path, default=SHARED)
    given = options.parse_args(arguments)
    cv2.setNumThreads(1)
    with page("The muscles' motion against measured motion, at the landmarks", options, given):
        table, pairs = given.shared / "au-displacements.csv", given.shared / "faces" / "pairs"
        if table.is_file():
            print_model(table)
        else:
            print("No au-displacements.csv: no model to compare with.\n")
        if pairs.is_dir():
            print_smiles(pairs)
        else:
            print("No pairs of photos: no smiles to compare with.")


def print_model(path: Path) -> None:
    """Each AU against the scanned model."""
    found = against_the_model(path)
    near = sum(angle >= ENOUGH for angle, _ in found.values())
    print(f"A scanned-face model, 468 landmarks: {near} of {len(found)} AUs have a cosine of {ENOUGH} or more.\n")
    print("| AU | cosine | gain |\n|---|---|---|")
    for au, (angle, gain) in found.items():
        print(f"| {au} | {angle:.3f} | {gain:.2f} |")


def print_smiles(folder: Path) -> None:
    """AUs of a smile against real ones."""
    motion, fields = smiles(folder)
    mean = motion.mean(0)
    means = {au: field.mean(0) for au, field in fields.items()}
    longest = np.hypot(*mean.T).max()
    print(f"\nThe mean smile of {len(motion)} people; it moves skin by {longest:.3f} inter-ocular distances at most.\n")
    print("| AUs | cosine | share of the squares that they explain |\n|---|---|---|")
    for au, field in means.items():
        print(f"| {au} | {cosine(field, mean):.3f} | |")
    columns = np.stack([field.ravel() for field in means.values()], 1)
    weights, left = nnls(columns, mean.ravel())
    total = np.sqrt((mean**2).sum())
    sums = " + ".join(f"{weight:.2f} · {au}" for au, weight in zip(means, weights, strict=True))
    angle = cosine((columns @ weights).reshape(mean.shape), mean)
    print(f"| {sums} | {angle:.3f} | {1 - (left / total) ** 2:.3f} |")
    each = []
    for i, one in enumerate(motion):
        _, rest = nnls(np.stack([field[i].ravel() for field in fields.values()], 1), one.ravel())
        each.append(1 - rest**2 / (one**2).sum())
    spread = f"{np.median(each):.3f} ({min(each):.3f} to {max(each):.3f})"
    print(f"| the best sum of each person, median and range | | {spread} |")


if __name__ == "__main__":
    main()
