"""How well the descriptors of identity tell people apart, and how far faces go from themselves when muscle moves them.

    python -m benchmarks.identity --pairs DIR [--out FILE]

DIR holds two photos of each person, as benchmarks/pairs.py says. Both are cut to crops as sets hold them, landmarks are
found anew in the crops, and each smiling crop is compared with every neutral one. A broad smile changes a face far more
than a micro-expression does. Where one studio took all photos, as there, neither light nor camera tells people apart,
nor does it differ between the two photos of one person.

Then each neutral face is moved: by plans of the default settings, where the apex is compared with the onset, and by AU
12 alone at intensity 1, compared with the crop. The threshold is chosen on every second person, halfway between the two
most different photos of one of them and the two most alike of different ones; shares within it are of the others.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

import miex
from benchmarks.machine import milliseconds
from benchmarks.page import page, parser
from benchmarks.pairs import add_pairs, pairs_of
from miex.aus.vector import AU_INDEX, N_AUS
from miex.executors.local import one_thread
from miex.faces.crop import AlignedFace, CropOptions, align, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.sface import SFACE, SFace
from miex.generators.muscle import MuscleGenerator
from miex.images import Image, read_image
from miex.quality.identity import DISTANCES, Floats, FrameDescriptor, describe_frames

SIZES = (256, 128)
TOGETHER = 12  # faces that a report gives to the network at once


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("identity", __doc__)
    add_pairs(options)
    given = options.parse_args(arguments)
    if given.pairs is None:
        print("no --pairs: skipped")
        return
    neutral, smiling = pairs_of(given.pairs, 4)
    sface, title = SFace(SFACE.find()), "How well distances between faces tell people apart"
    with page(title, options, given), one_thread(), Landmarker(MODEL.find()) as landmarker:
        print(f"{len(neutral)} people, a neutral and a smiling photo of each. Thresholds are chosen on one half of the")
        print('people; "within the threshold" is the other half.\n')
        ruler = Ruler(landmarker, sface)
        for size in SIZES:
            measure(neutral, smiling, size, ruler)
        crop = ruler.aligned(neutral[0], SIZES[0]).crop
        mesh = ruler.mesh(crop)
        for n in (1, TOGETHER):
            took = milliseconds(lambda n=n: sface.embeddings([crop] * n, [mesh] * n))
            print(f"SFace, {n} at once: {took / n:.1f} ms a face")


class Ruler:
    """Finds and describes faces."""

    def __init__(self, landmarker: Landmarker, sface: SFace) -> None:
        self.landmarker, self.sface = landmarker, sface

    def mesh(self, picture: Image) -> Floats:
        found = self.landmarker.detect(picture)
        return found.landmarks[found.largest]

    def aligned(self, path: Path, size: int) -> AlignedFace:
        photo = read_image(path)
        landmarks = self.mesh(photo)
        return align(photo, landmarks, place_crop(landmarks, CropOptions(size)), size)

    def described(self, frames: Sequence[Image]) -> list[FrameDescriptor]:
        return describe_frames(frames, [self.mesh(frame) for frame in frames], self.sface)


def measure(neutral: list[Path], smiling: list[Path], size: int, ruler: Ruler) -> None:
    """Everything at one size of crops, as two tables."""
    faces = [ruler.aligned(path, size) for path in neutral]
    rest = ruler.described([face.crop for face in faces])
    smiles = ruler.described([ruler.aligned(path, size).crop for path in smiling])
    broad = ruler.described([_grinning(face) for face in faces])
    who, pairs = _synthesized(neutral, size)
    onset, apex = (ruler.described(frames) for frames in zip(*pairs, strict=True))
    chosen = np.arange(len(faces)) % 2 == 0
    print("| descriptor | crop | AUC same against other person | nearest is their own | threshold |")
    print("|---|---|---|---|---|")
    lines = []
    for name, distances in DISTANCES.items():
        found = distances(rest, smiles)
        same, other = np.eye(len(found), dtype=bool), ~np.eye(len(found), dtype=bool)
        ours = chosen[:, None] & chosen
        threshold = (found[same & ours].max() + found[other & ours].min()) / 2
        auc = mannwhitneyu(found[other], found[same]).statistic / (same.sum() * other.sum())
        own = (found.argmin(axis=0) == np.arange(len(found))).mean()
        print(f"| {name} | {size} px | {auc:.4f} | {own:.1%} | {threshold:.3f} |")
        theirs = ~chosen[:, None] & ~chosen
        moved = np.array([distances([a], [b])[0, 0] for a, b in zip(onset, apex, strict=True)])
        grin = np.array([distances([a], [b])[0, 0] for a, b in zip(rest, broad, strict=True)])
        for what, values, tested in (
            ("neutral and smiling photo of one person", found[same], theirs[same]),
            ("photos of two people", found[other], theirs[other]),
            ("muscle, default settings: onset and apex", moved, ~chosen[who]),
            ("muscle, AU 12 at 1: face at rest and apex", grin, ~chosen),
        ):
            numbers = " | ".join(f"{number:.3f}" for number in (values.mean(), values.min(), values.max()))
            share = (values[tested] < threshold).mean()
            lines.append(f"| {name} | {what} | {len(values):,} | {numbers} | {share:.2%} of {tested.sum():,} |")
    print(
        "\n| distance | between | pairs | mean | least | most | within the threshold |\n|---|---|---|---|---|---|---|"
    )
    print("\n".join(lines) + "\n")


def _grinning(face: AlignedFace) -> Image:
    generator, aus = MuscleGenerator(), np.zeros((1, N_AUS), np.float32)
    aus[0, AU_INDEX[12]] = 1
    (frame,) = generator.render(generator.prepare(face), aus).frames
    return frame


def _synthesized(photos: list[Path], size: int) -> tuple[list[int], list[tuple[Image, Image]]]:
    """Samples of the default settings: whose photo, and onset and apex."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "photos")
        kept.mkdir()
        for path in photos:
            shutil.copy(path, kept)
        made = miex.synthesize(Path(folder, "set"), faces=kept, ids=len(photos), size=size)
        names = [path.name for path in photos]
        places = {face["identity"]: names.index(Path(face["path"]).name) for face in made.faces.to_pylist()}
        who = [places[identity] for identity in made.table["identity"].to_pylist()]
        return who, [made.pair(i) for i in range(len(made))]


if __name__ == "__main__":
    main()
