"""How the two bases of the muscle generator agree: what each AU does in the anatomy and as a modeled expression shape.

    python -m benchmarks.blendshapes [--faces DIR] [--photos 20] [--shared ../shared] [--out FILE]

At the 468 landmarks of the skin, both sides together, mean of the photos: the cosine of the two motions; gain, the
longest displacement of the blendshapes over the anatomy's; and spread, the ratio of the root mean squares: above 1 the
blendshapes move more skin. With `--shared`, which is lent and never shipped, both are also compared with a scanned
model's mean motion (benchmarks/anatomy.py). The sentences are what is seen when a face is rendered by both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.anatomy import SHARED, SKIN, cosine, model_motion
from benchmarks.page import page, parser
from miex.aus.vector import AU_NUMBERS
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.photos import default_pool, list_photos, photos_root
from miex.generators.grid import GRID
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import FaceFrame
from miex.generators.muscle.blendshapes import BlendshapeFrame
from miex.generators.muscle.cuts import at_points
from miex.images import read_image

SEEN = {
    1: "The blendshapes raise brow and forehead alike, the anatomy the inner end most, as FACS has it: the anatomy.",
    2: "Both raise the outer third; the blendshapes peak it more sharply, and less skin follows: either.",
    4: "The blendshapes draw brows together as much as down, and bring the forehead along: the better frown on a "
    "photo; in real micro-expressions brows go down at least as far as together: the anatomy.",
    5: "Both raise the upper lid alike; the blendshapes straight up, the anatomy outward as well: either.",
    6: "The blendshapes raise the cheek twice as far and take the lower lid along; neither reaches the jaw: either.",
    7: "The blendshapes narrow the eye by both lids, which is right, and raise the whole cheek, which is AU 6: either.",
    9: "Both raise the wings of the nose most and lower the inner brow; the blendshapes also spread the wings, and "
    "raise the closed lip less: either.",
    10: "Both raise the upper lip; the blendshapes draw it outward as well: either.",
    12: "The blendshapes lift chin and closed lower lip a little with the corner; the anatomy swells the cheek "
    "outward and leaves the lips' middle still, as real micro-smiles do: the anatomy.",
    14: "The same direction; the blendshapes take the whole cheek along: the anatomy.",
    15: "The same motion.",
    17: "The blendshapes bend the mouth upward and take the upper lip along, as closed lips do; the anatomy lifts the "
    "chin boss more: the blendshapes at the lips, the anatomy below.",
    20: "The blendshapes draw the corner down and back, the anatomy straight back, as FACS has it: the anatomy.",
    23: "No face unit tightens the lips alone: rolled lips and a little pucker bring the cheeks along: the anatomy.",
    25: "The blendshapes take the chin along, and so does the scanned model: the blendshapes.",
    26: "The blendshapes lower menton and cheeks, as a jaw does; neither moves the sides of the jaw: the blendshapes.",
    45: "In the blendshapes the upper lid comes straight down and the lower one gives a little; at the outer "
    "corners a sliver stays light: the anatomy.",
}
# by which the sentences can be checked
CHECKED = {
    1: {"inner brow": 55, "forehead": 108},
    5: {"upper lid": 159, "lower lid": 145},
    6: {"lower lid": 145, "cheek": 50, "jaw": 172},
    9: {"inner brow": 107, "forehead": 151, "wing of the nose": 129, "upper lip": 0, "its edge": 13},
    12: {"corner": 61, "cheek": 50, "chin": 200, "lower lip": 17},
    17: {"upper lip": 0, "lower lip": 17, "chin": 199},
    25: {"lower lip": 17, "chin": 199},
    26: {"cheek": 50, "jaw": 172, "menton": 152},
    45: {"upper lid": 159, "lower lid": 145},
}
Floats = npt.NDArray[np.float64]


def both(face: AlignedFace) -> tuple[Floats, Floats]:
    """What AUs do to the skin's landmarks in the anatomy and as blendshapes, inter-ocular distances [17, 468, 2]."""
    found = []
    for kind in (FaceFrame, BlendshapeFrame):
        frame = kind(face, load(), GRID)
        moved = at_points(frame.fields(), face.landmarks[SKIN], frame) / face.inter_ocular
        found.append(moved.reshape(len(AU_NUMBERS), 2, -1, 2).sum(1).astype(float))
    return found[0], found[1]


def aligned(faces: Path, photos: int, size: int = 128) -> list[AlignedFace]:
    """Faces of that many photos, chosen evenly from the folder."""
    names, found = list_photos(faces), []
    with Landmarker(MODEL.find()) as landmarker:
        for name in names[:: max(1, len(names) // photos)][:photos]:
            photo = read_image(photos_root(faces) / name)
            seen = landmarker.detect(photo)
            if len(seen.landmarks):
                mesh = seen.landmarks[seen.largest]
                found.append(align(photo, mesh, place_crop(mesh, CropOptions(size)), size))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser("blendshapes", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--photos", type=int, default=20, help="how many, chosen evenly from the folder")
    options.add_argument("--shared", type=Path, default=SHARED)
    given = options.parse_args(arguments)
    cv2.setNumThreads(1)
    with page("The two bases of the muscle generator, against each other", options, given):
        measure(aligned(given.faces, given.photos), given.shared / "au-displacements.csv")


def measure(faces: list[AlignedFace], scanned: Path) -> None:
    """Print the table of these faces."""
    pairs, against = [both(face) for face in faces], {}
    if scanned.is_file():
        points, motion = model_motion(scanned)
        blank = np.zeros((OVERSAMPLING * 127 + 1,) * 2 + (3,), np.uint8)
        ours = both(AlignedFace(blank, 128, (points * 39 + (63.5, 48.6)).astype(np.float32)))
        against = {au: [cosine(one[i], motion[au][SKIN]) for one in ours] for i, au in enumerate(AU_NUMBERS)}
    print(f"Mean of {len(faces)} faces. Cosine, gain and spread: blendshapes against anatomy.\n")
    print("| AU | cosine | gain | spread | scanned model: anatomy | blendshapes | who is right |")
    print("|---|---|---|---|---|---|---|")
    for i, au in enumerate(AU_NUMBERS):
        angle = np.mean([cosine(a[i], b[i]) for a, b in pairs])
        gain = np.mean([np.hypot(*b[i].T).max() / np.hypot(*a[i].T).max() for a, b in pairs])
        spread = np.mean([np.sqrt((b[i] ** 2).sum() / (a[i] ** 2).sum()) for a, b in pairs])
        known = " | ".join(f"{value:.3f}" for value in against[au]) if against else "– | –"
        print(f"| {au} | {angle:.3f} | {gain:.2f} | {spread:.2f} | {known} | {SEEN[au]} |")
    print("\nDown (up: below 0), % of the inter-ocular distance: anatomy, blendshapes.\n")
    print("| AU | landmarks of the person's right |")
    print("|---|---|")
    down = 100 * np.mean(pairs, 0)[..., 1]
    for au, places in CHECKED.items():
        moved = down[:, AU_NUMBERS.index(au)]
        told = (f"{name} {moved[0, at]:+.1f}, {moved[1, at]:+.1f}" for name, at in places.items())
        print(f"| {au} | {'; '.join(told)} |")


if __name__ == "__main__":
    main()
