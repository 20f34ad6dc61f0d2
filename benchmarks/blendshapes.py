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
    1: "The anatomy raises the inner end of the brow most, as FACS has it; the blendshapes raise its upper edge and "
    "the forehead, so that it gets thicker: the anatomy.",
    2: "Both raise the arch of the brow; the blendshapes its tail half as far, which the scanned model raises as far "
    "as the arch: the anatomy.",
    4: "The anatomy takes the whole brow down, its tail too, and less together; the blendshapes draw the inner end "
    "and the forehead above it together as much as down, a better frown on a photo, and spare the tail: in real "
    "micro-expressions brows go down at least as far as together: the anatomy.",
    5: "Both raise the upper lid alike; the blendshapes straight up, the anatomy outward as well: either.",
    6: "The blendshapes raise the cheek twice as far and take the lower lid along; neither reaches the jaw: either.",
    7: "The blendshapes narrow the eye by both lids and lift the upper cheek a little, as the scanned model does; the "
    "anatomy by the lower lid alone: the blendshapes.",
    9: "Both raise the wings of the nose most and lower the inner brow; the blendshapes also spread the wings, and "
    "raise the closed lip less: either.",
    10: "Both raise the upper lip as far; the blendshapes lift its edge, the corner and the wings of the nose along, "
    "the anatomy the fold beside the nose: the blendshapes at the lip, the anatomy at the fold.",
    12: "The blendshapes lift chin and closed lower lip a little with the corner; the anatomy swells the cheek "
    "outward and leaves the lips' middle still, as real micro-smiles do: the anatomy.",
    14: "The anatomy draws the corner as far out as up, the blendshapes more out than up, with the cheek beside the "
    "mouth; the scanned model hardly outward, and nothing makes a dimple: neither.",
    15: "The same motion; the blendshapes less outward, and take the fold beside the nose along: either.",
    17: "The blendshapes bend the mouth upward and take the upper lip along, as closed lips do; the anatomy lifts the "
    "chin boss more: the blendshapes at the lips, the anatomy below.",
    20: "The blendshapes draw the corner down and back, and stretch the lips half as far; the anatomy straight back, "
    "as FACS has it: the anatomy.",
    23: "No face unit tightens the lips alone: rolled lips and a little pucker, with an upper lip that comes down "
    "twice as far, and corners that go in: the anatomy.",
    25: "The blendshapes take the chin along, and so does the scanned model: the blendshapes.",
    26: "The blendshapes lower menton and cheeks, as a jaw does; neither moves the sides of the jaw: the blendshapes.",
    45: "In the blendshapes the upper lid comes straight down and the lower one gives a little; at the outer corners "
    "a sliver stays light: the anatomy.",
}
# by which the sentences can be checked
CHECKED = {
    1: {"inner brow": 55, "its upper edge": 107, "forehead": 108},
    2: {"arch of the brow": 105, "its tail": 46},
    4: {"inner brow": 55, "its upper edge": 107, "forehead": 108, "tail of the brow": 46},
    5: {"upper lid": 159, "lower lid": 145},
    6: {"lower lid": 145, "cheek": 50, "jaw": 172},
    7: {"upper lid": 159, "lower lid": 145, "upper cheek": 101, "below the lid": 118},
    9: {"inner brow": 107, "forehead": 151, "wing of the nose": 129, "upper lip": 0, "its edge": 13},
    10: {"upper lip": 0, "its edge": 13, "corner": 61, "wing of the nose": 129, "fold beside the nose": 206},
    12: {"corner": 61, "cheek": 50, "chin": 200, "lower lip": 17},
    14: {"corner": 61, "beside the mouth": 212, "cheek": 50},
    15: {"corner": 61, "fold beside the nose": 206},
    17: {"upper lip": 0, "lower lip": 17, "chin": 199},
    20: {"corner": 61, "lower lip": 91},
    23: {"upper lip": 0, "corner": 61, "lower lip": 17},
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
    pairs, against, motion = [both(face) for face in faces], {}, {}
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
    known = ", scanned model" if against else ""
    print(f"\nOutward and down, % of the inter-ocular distance: anatomy, blendshapes{known}.\n")
    print("| AU | landmarks of the person's right |")
    print("|---|---|")
    voices = [*np.mean(pairs, 0), *([np.stack([motion[au] for au in AU_NUMBERS])] if against else [])]
    for au, places in CHECKED.items():
        i = AU_NUMBERS.index(au)
        told = []
        for name, at in places.items():
            ways = (100 * voice[i, at] * (-1, 1) for voice in voices)  # outward is to the left of the picture
            told.append(f"{name} " + ", ".join(f"{out:+.1f} {down:+.1f}" for out, down in ways))
        print(f"| {au} | {'; '.join(told)} |")


if __name__ == "__main__":
    main()
