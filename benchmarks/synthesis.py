"""The main job against its bound: cost of each step, whole runs, and what 45,000 pairs take.

    python -m benchmarks.synthesis [--faces DIR] [--samples N] [--out FILE]

With `--nuisances off` and with the default nuisances; by default virtual identities of the embedded face, which cost
one resampling more than photos.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import WHO, bound, bound_beside, milliseconds, processor_seconds
from benchmarks.page import page, parser
from miex.aus.vector import N_AUS, SIDES
from miex.dataset.description import describe_sample
from miex.dataset.frames import encode_frame
from miex.dataset.plan_file import Plan
from miex.dataset.samples import SAMPLES_FILE
from miex.dataset.shard import Sample, member, members
from miex.executors.local import LocalProcesses, available_workers, local_executor
from miex.faces.crop import CropPlace, align
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool
from miex.faces.planned import load_face
from miex.faces.virtual import make_virtual
from miex.generators.grid import face_area
from miex.generators.muscle import MuscleGenerator
from miex.generators.registry import describe, make_generator
from miex.images import Image, decode_image
from miex.nuisances.apply import drift, shown_aus
from miex.nuisances.still import still_area
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, load_table
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.measures import measure_pair
from miex.synthesis.run import run_plan

FACES, ROUNDS = 40, 5  # of whom steps are timed, and how often
OF_PHOTO = ("read", "decode", "align")  # steps that identities of one photo share
MIE_X = 45_000  # pairs of the paper's set
NUISANCES: str = PlanConfig.model_fields["nuisances"].default


def make_plan(faces: Path, samples: int, nuisances: str = NUISANCES, shard_size: int | None = None) -> Plan:
    """A plan of about that many samples with the paper's proportions: 9 per identity."""
    index = index_photos(faces, model=MODEL.find)
    source = ExpertSource(load_table("micro"))
    config = PlanConfig(ids=max(1, samples // 9), per=3, nuisances=nuisances, shard_size=shard_size)
    return build_plan(config, index, [source], describe(make_generator("muscle")), faces_root=str(faces.resolve()))


def steps(plan: Plan) -> float:
    """Each step alone, on one thread; it returns the bound of a frame, ms."""
    cv2.setNumThreads(1)
    generator = make_generator("muscle")
    faces = plan.faces.slice(0, FACES).to_pylist()
    size = plan.settings["size"]
    aligned = load_face(Path(plan.faces_root), faces[0], size)
    rig = generator.prepare(aligned)
    rows = plan.rows.slice(0, 60).to_pylist()
    area, still = face_area(aligned), still_area(aligned)
    aus = [shown_aus(row) for row in rows]
    drifts = [drift(row, size, aligned.inter_ocular, area, still) for row in rows]
    rendered = [generator.render(rig, z, d) for z, d in zip(aus, drifts, strict=True)]
    frames, fields = [pair.frames for pair in rendered], [pair.fields for pair in rendered]
    encoded = tuple(encode_frame(frame, "png") for frame in frames[0])

    def tar() -> None:
        for row in rows:
            told = describe_sample(faces[0], row, plan.settings)
            made = Sample(row["sample_id"], encoded, ".png", told, {})
            hashlib.sha256(b"".join(member(name, content) for name, content in members(made)))

    n = len(aus)
    per_pair: dict[str, Callable[[], object]] = {
        "residual motion": lambda: [drift(r, size, aligned.inter_ocular, area, still) for r in rows],
        "both frames: field, inversion, resampling, lips, lids, furrows": lambda: [
            generator.render(rig, z, d) for z, d in zip(aus, drifts, strict=True)
        ],
        "encode both (PNG, marked)": lambda: [encode_frame(f, "png") for pair in frames for f in pair],
        "measures: motion, PSNR, SSIM": lambda: [
            measure_pair(a, b, moved[1] - moved[0], area, aligned.inter_ocular)
            for (a, b), moved in zip(frames, fields, strict=True)
        ],
        "description, and three members of a tar": tar,
    }
    limit = bound(frames[0][1])
    busy = bound_beside(frames[0][1], available_workers() - 1)
    alone = in_rounds(lambda: {name: milliseconds(call, rounds=1) / n for name, call in per_pair.items()}, frames[0][1])
    per_identity = in_rounds(lambda: identities(Path(plan.faces_root), faces, size), frames[0][1])

    def virtual() -> dict[str, float]:
        return {"": milliseconds(lambda: [make_virtual(aligned, seed) for seed in range(FACES)], rounds=1) / FACES}

    changed = in_rounds(virtual, frames[0][1])

    def line(name: str, found: Iterable[tuple[float, float]], parts: int = 1) -> None:
        ms, bounds = np.sum(list(found), 0) / parts
        print(f"| {name} | {ms:.3f} | {bounds:.2f} |")

    print(f"\n| step at {size} px, one thread | ms | × bound |\n|---|---|---|")
    line("bound: one bilinear remap + one PNG", [(limit, 1.0)])
    line("the same while every other processor does it, too", [(busy, busy / limit)])
    for name, found in per_identity.items():
        line(f"per identity: {name}", [found])
    line("an identity before its first pair: sum of these", per_identity.values())
    line("per virtual identity, beside", changed.values())
    behind = [found for name, found in per_identity.items() if not name.startswith(OF_PHOTO)]
    line("a virtual identity behind another one of its photo: sum of these", [*behind, *changed.values()])
    for name, found in alone.items():
        line(f"per pair: {name}", [found])
    mean = [found for name, found in alone.items() if "tar" not in name]
    line("mean frame of a pair: half of all these but the tar", mean, 2)
    return limit


def in_rounds(once: Callable[[], Mapping[str, float]], frame: Image) -> dict[str, tuple[float, float]]:
    """What steps take: ms and × bound, medians over rounds.

    The bound is measured in each round: what a shared machine does in a second changes from one to the next.

    Args:
        once: times the steps once, ms.
        frame: what the bound is of.
    """
    once()  # warms up
    rounds = []
    for _ in range(ROUNDS):
        limit = bound(frame)
        rounds.append({name: (ms, ms / limit) for name, ms in once().items()})
    return {name: tuple(np.median([found[name] for found in rounds], 0)) for name in rounds[0]}


def identities(root: Path, faces: list[dict[str, Any]], size: int) -> dict[str, float]:
    """What each step of an identity takes before its first pair, ms: all that any AU may need of it."""
    generator, spent = MuscleGenerator(), defaultdict[str, float](float)

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.thread_time()
        found = call()
        spent[name] += time.thread_time() - start
        return found

    for face in faces:
        path = root / face["path"]
        content = timed("read the photo and its checksum", path.read_bytes)
        timed("read the photo and its checksum", hashlib.sha256(content).hexdigest)
        photo = timed("decode it", lambda c=content, p=path: decode_image(c, p.name))
        landmarks = np.asarray(face["landmarks"], np.float32).reshape(-1, 3)
        place = CropPlace(face["crop_x"], face["crop_y"], face["crop_side"], face["crop_roll"])
        aligned = timed(
            "align and resample (4 × 4 samples per pixel)",
            lambda p=photo, m=landmarks, c=place: align(p, m, c, size),
        )
        timed("what of it is face, and what holds still", lambda a=aligned: (face_area(a), still_area(a)))
        rig = timed("basis fields", lambda a=aligned: generator.prepare(a))
        layers = rig.layers
        timed("undo the rounding of samples", lambda r=rig: r.samples)
        timed("mouth and eyes", lambda x=layers: [x.part(name).cut.partings for name in ("mouth", *SIDES)])
        timed("furrows", lambda x=layers: x.light.shades)
        timed("bounds of folding", lambda x=layers: [x.worst(row, size) for row in range(2 * N_AUS)])
    return {name: seconds / len(faces) * 1e3 for name, seconds in spent.items()}


def whole(plan: Plan, workers: int, limit: float) -> None:
    """A whole run, files and all."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        adopt_plan(plan, out)
        start, began = time.perf_counter(), processor_seconds()
        summary = run_plan(out, executor=local_executor(workers))
        seconds, used = time.perf_counter() - start, processor_seconds() - began
    scale = 1024 if sys.platform == "darwin" else 1
    memory = [resource.getrusage(who).ru_maxrss / scale / 1024 for who in WHO]
    frames = 2 * summary.made
    print(
        f"| {workers} | {summary.made:,} | {used / frames * 1e3:.2f} | {used / frames * 1e3 / limit:.2f} | "
        f"{MIE_X / summary.made * used / 60:.1f} | {seconds:.1f} | {summary.bytes / 1e6:,.0f} | "
        f"{memory[0]:,.0f} / {memory[1]:,.0f} |"
    )


def serial(faces: Path, plan: Plan, workers: int, limit: float) -> None:
    """What no worker does, and so takes as long however many there are; and what each does once, when it starts."""

    def line(step: str, seconds: float, n: int) -> None:
        bounds = seconds / n * 1e3 / limit
        print(f"| {step} | {seconds / n * 1e6:,.0f} | {bounds:.3f} | {seconds / n * MIE_X:.1f} |")

    print(f"\n| not in workers, per row | µs | × bound | s for {MIE_X:,} pairs |\n|---|---|---|---|")
    n = plan.rows.num_rows
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        start = time.process_time()
        shards = list(plan.shards())
        line("draw the plan", time.process_time() - start, n)
        start = time.process_time()
        adopt_plan(replace(plan, shards=lambda: iter(shards)), out)
        line("write it", time.process_time() - start, n)
        run_plan(out, executor=local_executor(workers))
        (out / SAMPLES_FILE).unlink()
        start = time.process_time()
        run_plan(out)
        line("read what workers recorded, and write samples.parquet", time.process_time() - start, n)
    small = make_plan(faces, workers, "off", shard_size=1)
    with tempfile.TemporaryDirectory() as folder:
        adopt_plan(small, Path(folder) / "set")
        before = [processor_seconds((who,)) for who in WHO]
        run_plan(Path(folder) / "set", executor=LocalProcesses(workers))
        own, theirs = (processor_seconds((who,)) - one for who, one in zip(WHO, before, strict=True))
    print(f"\nBefore its first sample, a worker takes {theirs / workers:.1f} s of its processor,")
    print(f"and {own / workers:.1f} s of the process that starts it.")


def main(arguments: list[str] | None = None) -> None:
    """Print the tables of both levels."""
    options = parser("synthesis", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--samples", type=int, default=1800)
    given = options.parse_args(arguments)
    with page("What synthesis takes, against one remap and one PNG per frame", options, given):
        print("Time is the processor's; the bound of a frame, one bilinear remap and one PNG, is measured in this run.")
        for nuisances in ("off", NUISANCES):
            plan = make_plan(given.faces, given.samples, nuisances)
            virtual = sum(plan.faces["virtual"].to_pylist())
            print(f"\n## Nuisances {nuisances}: {plan.rows.num_rows:,} pairs of {plan.settings['size']} px", end="")
            print(f", {plan.faces.num_rows:,} identities ({virtual:,} virtual)")
            limit = steps(plan)
            print(f"\n| workers | pairs | ms a frame | × bound | minutes of one core for {MIE_X:,} pairs |", end="")
            print(" wall clock, s | MB | peak MB: parent / a worker |\n|---|---|---|---|---|---|---|---|")
            for workers in sorted({1, available_workers()}):
                whole(plan, workers, limit)
            if available_workers() > 1:
                serial(given.faces, plan, available_workers(), limit)


if __name__ == "__main__":
    main()
