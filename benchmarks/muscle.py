"""What a frame of the muscle generator costs, step by step, relative to a bound measured in the same run.

    python -m benchmarks.muscle [--size 128] [--out FILE]

The bound of a frame: one bilinear cv2.remap and one cv2.imencode('.png'), default settings, one thread.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import cv2
import numpy as np
from skimage.data import astronaut

from benchmarks.page import page, parser
from miex.aus.vector import AU_NUMBERS, from_mapping
from miex.faces.crop import OVERSAMPLING, CropOptions, align, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.generators.grid import face_area, invert, lattice, sample
from miex.generators.muscle import generator as muscle
from miex.labels import Label
from miex.sources.expert import ExpertSource, load_table
from miex.synthesis.measures import measure_pair

TYPICAL = {4: 0.2, 6: 0.2, 7: 0.1, 12: 0.2}
LAYERS = {  # AUs that show one layer and hardly anything else
    "furrows (AU 4)": {4: 0.2},
    "furrows (AU 6 + 12)": {6: 0.2, 12: 0.2},
    "mouth (AU 25)": {25: 0.2},
    "mouth (AU 26)": {26: 0.2},
    "lids (AU 45)": {45: 0.2},
    "restraint, all 17 AUs": dict.fromkeys(AU_NUMBERS, 0.5),
}
N_TYPICAL = 300


def typical_aus() -> np.ndarray:
    """Apexes as the default source draws them, in equal parts of every class, float32 [n, 17]."""
    source = ExpertSource(load_table("micro"))
    rng = np.random.default_rng(0)
    return np.stack([source.sample(list(Label)[i % 3], rng=rng).apex for i in range(N_TYPICAL)])


def microseconds(call: Callable[[], object], seconds: float = 0.3) -> float:
    """The fastest of many calls, by the processor's time: the machine is shared."""
    call()
    best, end = float("inf"), time.thread_time() + seconds
    while (start := time.thread_time()) < end:
        call()
        best = min(best, time.thread_time() - start)
    return best * 1e6


def main(arguments: list[str] | None = None) -> None:
    options = parser("muscle", __doc__)
    options.add_argument("--size", type=int, default=128)
    given = options.parse_args(arguments)
    with page("What a frame of the muscle generator costs", options, given):
        measure(given.size)


def measure(size: int) -> None:
    """Print the cost of each step."""
    cv2.setNumThreads(1)
    photo = astronaut()
    with Landmarker(MODEL.find()) as landmarker:
        (mesh,) = landmarker.detect(photo).landmarks
    face = align(photo, mesh, place_crop(mesh, CropOptions(size)), size)
    crop = face.crop
    generator = muscle.MuscleGenerator()
    rig = generator.prepare(face)
    shifted = lattice(size, 1) + np.float32(0.3)
    bound = microseconds(lambda: sample(crop, shifted)) + microseconds(lambda: cv2.imencode(".png", crop))

    def row(name: str, cost: float) -> None:
        print(f"| {name} | {cost:.0f} | {cost / bound:.2f} |")

    print(f"{size} px, one thread; the fastest of many calls, by the processor's time.\n")
    print("| step | µs | × bound |\n|---|---|---|")
    row("bound: one bilinear remap + one PNG", bound)
    row("identity: basis", microseconds(lambda: generator.prepare(face)))
    row("identity: unrounded samples", microseconds(lambda: muscle.unrounded(face.samples)))
    for name, aus in (("4 AUs", TYPICAL), ("all 17 AUs", dict.fromkeys(AU_NUMBERS, 0.2))):
        z = from_mapping(aus)[None]
        weights = np.repeat(z[0], 2)
        field = muscle.combine(rig, weights)
        back = invert(field, size)
        fine = cv2.resize(back, (size, size), interpolation=cv2.INTER_LINEAR)
        where = cv2.scaleAdd(fine, OVERSAMPLING, lattice(size, OVERSAMPLING))
        levels = sample(rig.samples, where)
        frame = generator.render(rig, z).frames[0]
        area = face_area(face)
        row(f"{name}: field", microseconds(lambda w=weights: muscle.combine(rig, w)))
        row(f"{name}: inversion", microseconds(lambda f=field: invert(f, size)))
        row(f"{name}: upsampling", microseconds(lambda b=back: cv2.resize(b, (size, size))))
        row(f"{name}: resampling", microseconds(lambda w=where: sample(rig.samples, w)))
        row(f"{name}: to 8 bits", microseconds(lambda x=levels: cv2.convertScaleAbs(x, alpha=1 / muscle.LEVEL)))
        render = microseconds(lambda z=z: generator.render(rig, z))
        encode = microseconds(lambda x=frame: cv2.imencode(".png", x))
        row(f"{name}: render", render)
        row(f"{name}: render + PNG", render + encode)
        measures = microseconds(lambda f=frame, d=field, a=area: measure_pair(crop, f, d, a, face.inter_ocular))
        row(f"{name}: render + PNG + half a pair's measures", render + encode + measures / 2)
    bare = dataclasses.replace(rig, layers=None)
    for name, aus in LAYERS.items():
        z = from_mapping(aus)[None]
        first = microseconds(lambda z=z: generator.render(generator.prepare(face), z))
        prepared = microseconds(lambda: generator.prepare(face))
        cost = microseconds(lambda z=z: generator.render(rig, z))
        row(f"layer, {name}", cost - microseconds(lambda z=z: generator.render(bare, z)))
        row(f"layer, {name}: once per identity", first - prepared - cost)
    pairs = np.stack([typical_aus(), np.zeros((N_TYPICAL, 17), np.float32)], 1).reshape(-1, 17)
    for name, one in (("all layers", rig), ("the warp alone", bare)):
        mean = microseconds(lambda r=one: generator.render(r, pairs), 2) / len(pairs)
        row(f"mean frame of default pairs, {name}: render", mean)
    rest = np.zeros((1, 17), np.float32)
    row("at rest: render", microseconds(lambda: generator.render(rig, rest)))


if __name__ == "__main__":
    main()
