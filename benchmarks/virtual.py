"""How far virtual identities are from the photo that they were made from, and from other people, by how wide their
proportions are drawn.

    python -m benchmarks.virtual --faces DIR [--photos 40] [--sheet FILE] [--out FILE]

Of each photo's crop relatives are made, as sets make them, with proportions drawn as widely as sets draw them, less,
and more. Landmarks are found anew in each. `--sheet` draws relatives of the embedded face, wider from left to right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.identity import Ruler
from benchmarks.page import page, parser
from miex.faces.crop import AlignedFace
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.photos import default_pool, list_photos, photos_root
from miex.faces.sface import SFACE, SFace
from miex.faces.virtual import SPREAD, make_virtual
from miex.quality.identity import DISTANCES

SIZE = 256
SPREADS = (0.0, 0.7, SPREAD, 2.0, 2.7, 4.0)
SEEDS = (1, 2)
ONE_PERSON = 0.376  # the threshold of docs/results/identity.md
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("virtual", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--photos", type=int, default=40, help="how many, chosen evenly from the folder")
    options.add_argument("--sheet", type=Path, metavar="FILE", help="PNG of relatives of the embedded face")
    given = options.parse_args(arguments)
    names = list_photos(given.faces)
    chosen = names[:: max(1, len(names) // given.photos)][: given.photos]
    title = "Virtual identities, against their photo and other people"
    with page(title, options, given), Landmarker(MODEL.find()) as landmarker:
        ruler = Ruler(landmarker, SFace(SFACE.find()))
        measure([ruler.aligned(photos_root(given.faces) / name, SIZE) for name in chosen], ruler)
        if given.sheet is not None:
            photo = photos_root(default_pool()) / list_photos(default_pool())[0]
            draw(ruler.aligned(photo, SIZE // 2), given.sheet)


def draw(face: AlignedFace, file: Path) -> None:
    """Draw relatives of a face: one for each seed from top to bottom, wider from left to right."""
    rows = [np.hstack([make_virtual(face, seed, spread).crop for spread in SPREADS]) for seed in SEEDS]
    cv2.imwrite(str(file), np.vstack(rows)[..., ::-1])


def measure(faces: Sequence[AlignedFace], ruler: Ruler) -> None:
    """Print the table."""
    photos = ruler.described([face.crop for face in faces])
    print(f"{len(SEEDS)} relatives of each of {len(faces)} photos, {SIZE} px. Proportions are drawn so many standard")
    print("deviations wide. Distances by SFace (1 − cosine), in percentiles, and the share that is nearer than")
    print(
        f"{ONE_PERSON}, as photos of one person are ([identity.md](identity.md)). Shape: the distance of the landmarks,"
    )
    print("inter-ocular distances, the median.\n")
    print("| between | pairs of faces | 5 % | 25 % | 50 % | 75 % | 95 % | most | one person | shape |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for spread in SPREADS:
        made = [ruler.described([make_virtual(face, seed, spread).crop for seed in SEEDS]) for face in faces]
        name = f"a photo and its relative, {spread:g}" + (", as in sets" if spread == SPREAD else "")
        print_row(name, {
            what: np.concatenate([of([photo], own)[0] for photo, own in zip(photos, made, strict=True)])
            for what, of in DISTANCES.items()
        })  # fmt: skip
    if len(faces) > 1:
        two = np.triu_indices(len(faces), 1)
        print_row("two people", {what: of(photos, photos)[two] for what, of in DISTANCES.items()})


def print_row(name: str, distances: Mapping[str, npt.NDArray[np.float64]]) -> None:
    values, shape = distances["SFace"], float(np.median(distances["shape"]))
    cells = " | ".join(f"{q:.3f}" for q in (*np.quantile(values, QUANTILES), values.max()))
    print(f"| {name} | {len(values):,} | {cells} | {(values < ONE_PERSON).mean():.1%} | {shape:.3f} |")


if __name__ == "__main__":
    main()
