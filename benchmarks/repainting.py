"""What a trained GANimation does to faces that its training held out, beside what the muscle generator does to them.

    python -m benchmarks.repainting --weights OUT/generator.safetensors --set SET [--held-out 0.05] [--seed 0]
        [--out FILE]

SET is the set that it was trained on (`miex ganimation train --faces SET --out OUT`); held-out fraction and seed are
those of the training, so that the same people are held out. Each of these faces is rendered without AUs and with a few
at intensity 1, by the network and by muscle. Landmarks are found anew in every frame (enlarged to 256 px, where the
set's are smaller) and compared: where the AUs take mouth corners, lips and brows, in % of the distance between the
eyes. Identity is the cosine of SFace between the photo and the frame with AUs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

import miex
from benchmarks.page import page, parser
from miex.aus.vector import AU_INDEX, N_AUS
from miex.dataset.reader import Dataset
from miex.errors import InputError
from miex.evaluation.significance import bootstrap_mean
from miex.executors.local import one_thread
from miex.faces.crop import MOUTH_CORNERS, AlignedFace, Points, eye_centers, inter_ocular
from miex.faces.landmarks import MODEL, Landmarker
from miex.faces.planned import load_face
from miex.faces.sface import SFACE, SFace
from miex.generator_training.pictures import chosen_people, people_of
from miex.generators.registry import make_generator
from miex.images import Image

SIDE = 256  # in which landmarks are found
INNER_LIPS, INNER_BROWS, BROWS = (13, 14), (107, 336), (105, 334)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("repainting", __doc__)
    options.add_argument(
        "--weights", type=Path, help="Weights of a generator. Without them there is nothing to measure."
    )
    options.add_argument("--set", type=Path, help="The set that it was trained on.")
    options.add_argument("--held-out", type=float, default=0.05)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args(arguments)
    if given.weights is None or given.set is None:
        print("no --weights and --set: skipped")
        return
    faces = _held_out(miex.dataset.open(given.set), given.held_out, given.seed)
    with page("What a GANimation does to faces that its training held out", options, given):
        print_changes(faces, given.weights)


def print_changes(faces: list[AlignedFace], weights: Path) -> None:
    """Print the tables."""
    print(f"{len(faces)} faces held out, {faces[0].size} px, AUs at intensity 1\n")
    generators = {
        "ganimation": make_generator("ganimation", weights=weights),
        "muscle": make_generator("muscle"),
    }
    print("| AUs | change | generator | faces | mean | 95 % | in the right direction |\n|---|---|---|---|---|---|---|")
    with one_thread(), Landmarker(MODEL.find()) as landmarker:
        sface = SFace(SFACE.find())
        cosines: dict[str, list[float]] = {name: [] for name in generators}
        for aus, (what, change) in CHANGES.items():
            for name, generator in generators.items():
                moved = []
                for face in faces:
                    z = np.zeros((2, N_AUS), np.float32)
                    z[1, [AU_INDEX[au] for au in aus]] = 1
                    frames = generator.render(generator.prepare(face), z).frames
                    meshes = [_mesh(landmarker, frame) for frame in (*frames, face.crop)]
                    rest, shown, photo = meshes
                    if rest is None or shown is None or photo is None:
                        continue
                    moved.append(100 * (change(shown) - change(rest)))
                    a, b = sface.embeddings([_enlarged(face.crop), _enlarged(frames[1])], [photo, shown])
                    cosines[name].append(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
                found = bootstrap_mean(np.array(moved), np.arange(len(moved)))
                share = float(np.mean(np.array(moved) > 0))
                print(
                    f"| {' + '.join(map(str, aus))} | {what} | {name} | {len(moved)} | {found.value:.1f} % |"
                    f" {found.low:.1f} to {found.high:.1f} | {share:.0%} |"
                )
    print("\n| identity, cosine of SFace | mean | least |\n|---|---|---|")
    for name, values in cosines.items():
        print(f"| {name} | {np.mean(values):.3f} | {np.min(values):.3f} |")


def _held_out(dataset: Dataset, fraction: float, seed: int) -> list[AlignedFace]:
    people = people_of(dataset)
    chosen = chosen_people(people.values(), fraction, seed)
    rows = [row for row in dataset.faces.to_pylist() if not row["virtual"]]
    size, root = dataset.record["settings"]["size"], Path(dataset.record["faces_root"])
    found = [load_face(root, row, size) for row in rows if people.get(row["identity"]) in chosen]
    if not found:
        raise InputError(f"faces held out of {dataset.storage.address}", expected="photos", found="none")
    return found


def _enlarged(frame: Image) -> Image:
    return frame if len(frame) >= SIDE else np.asarray(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


def _mesh(landmarker: Landmarker, frame: Image) -> Points | None:
    found = landmarker.detect(_enlarged(frame))
    return found.landmarks[found.largest] if len(found.landmarks) else None


def _above(mesh: Points, points: tuple[int, int]) -> float:
    """How far the middle of two landmarks lies above that of the eyes, in distances between the eyes."""
    middle = eye_centers(mesh).mean(axis=0)
    return float((middle[1] - mesh[list(points), 1].mean()) / inter_ocular(mesh))


def _apart(mesh: Points, points: tuple[int, int]) -> float:
    """Distance of two landmarks, in distances between the eyes."""
    a, b = mesh[list(points), :2]
    return float(np.hypot(*(a - b)) / inter_ocular(mesh))


CHANGES: dict[tuple[int, ...], tuple[str, Callable[[Points], float]]] = {
    (12,): ("mouth corners up and apart", lambda mesh: _above(mesh, MOUTH_CORNERS) + _apart(mesh, MOUTH_CORNERS)),
    (4,): ("inner brows down and together", lambda mesh: -_above(mesh, INNER_BROWS) - _apart(mesh, INNER_BROWS)),
    (1, 2): ("brows up", lambda mesh: _above(mesh, BROWS)),
    (25, 26): ("lips apart", lambda mesh: _apart(mesh, INNER_LIPS)),
}


if __name__ == "__main__":
    main()
