"""The main job against its bound: cost of each step, whole runs, and what 45,000 pairs take.

`python -m benchmarks.synthesis [--faces DIR] [--samples N] [--nuisances LEVEL]`; by default virtual identities of the
embedded face, which cost one resampling more than photos.
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import bound, machine, milliseconds
from miex.dataset.frames import encode_frame
from miex.dataset.plan_file import Plan
from miex.executors.local import available_workers, local_executor
from miex.faces.crop import CropPlace, align
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool
from miex.faces.virtual import make_virtual
from miex.generators.grid import face_area
from miex.generators.registry import describe, make_generator
from miex.images import decode_image
from miex.nuisances.apply import drift, shown_aus
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, load_table
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.measures import measure_pair
from miex.synthesis.run import run_plan

MIE_X = 45_000  # pairs of the paper's set
NUISANCES: str = PlanConfig.model_fields["nuisances"].default


def make_plan(faces: Path, samples: int, nuisances: str = NUISANCES) -> Plan:
    """A plan of about that many samples with the paper's proportions: 9 per identity."""
    index = index_photos(faces, model=MODEL.find)
    source = ExpertSource(load_table("micro"))
    config = PlanConfig(ids=max(1, samples // 9), per=3, nuisances=nuisances)
    return build_plan(config, index, [source], describe(make_generator("muscle")), faces_root=str(faces.resolve()))


def steps(plan: Plan) -> None:
    """Each step alone, on one thread, at 128 px."""
    cv2.setNumThreads(1)
    generator = make_generator("muscle")
    face = plan.faces.slice(0, 1).to_pylist()[0]
    content = (Path(plan.faces_root) / face["path"]).read_bytes()
    photo = decode_image(content, "photo")
    landmarks = np.asarray(face["landmarks"], np.float32).reshape(-1, 3)
    place = CropPlace(face["crop_x"], face["crop_y"], face["crop_side"], face["crop_roll"])
    size = plan.settings["size"]
    aligned = align(photo, landmarks, place, size)
    rig = generator.prepare(aligned)
    rows = plan.rows.slice(0, 60).to_pylist()
    area = face_area(aligned)
    aus = [shown_aus(row) for row in rows]
    drifts = [drift(row, size, aligned.inter_ocular, area) for row in rows]
    rendered = [generator.render(rig, z, d) for z, d in zip(aus, drifts, strict=True)]
    frames, fields = [pair.frames for pair in rendered], [pair.fields for pair in rendered]
    encoded = encode_frame(frames[0][1], "png")

    def tar() -> None:
        with tarfile.open(fileobj=io.BytesIO(), mode="w", format=tarfile.USTAR_FORMAT) as file:
            for name in "abc":
                info = tarfile.TarInfo(name)
                info.size = len(encoded)
                file.addfile(info, io.BytesIO(encoded))

    n = len(aus)
    every = range(n)
    per_identity = {
        "read and decode the photo": milliseconds(lambda: decode_image(content, "photo")),
        "align and resample (4 × 4 samples per pixel)": milliseconds(lambda: align(photo, landmarks, place, size)),
        "virtual identity, where asked for": milliseconds(lambda: make_virtual(aligned, 1)),
        "basis fields": milliseconds(lambda: generator.prepare(aligned)),
    }
    per_pair = {
        "residual motion": milliseconds(lambda: [drift(r, size, aligned.inter_ocular, area) for r in rows]) / n,
        "both frames: field, inversion, resampling, lips, lids, furrows": milliseconds(
            lambda: [generator.render(rig, z, d) for z, d in zip(aus, drifts, strict=True)]
        )
        / n,
        "encode both (PNG, marked)": milliseconds(lambda: [encode_frame(f, "png") for pair in frames for f in pair])
        / n,
        "motion, PSNR, SSIM": milliseconds(
            lambda: [
                measure_pair(frames[i][0], frames[i][1], fields[i][1] - fields[i][0], area, aligned.inter_ocular)
                for i in every
            ]
        )
        / n,
        "three members of a tar": milliseconds(tar),
    }
    limit = bound(frames[0][1])
    print(f"\n| step at {size} px, one thread | ms | × bound of a frame |\n|---|---|---|")
    print(f"| **bound: one bilinear remap + one PNG** | {limit:.3f} | 1.00 |")
    for name, ms in (per_identity | per_pair).items():
        print(f"| {'per identity' if name in per_identity else 'per pair'}: {name} | {ms:.3f} | {ms / limit:.2f} |")
    mean = sum(ms for name, ms in per_pair.items() if "tar" not in name) / 2
    print(f"| **mean frame of a pair: half of all these but the tar (budget 2)** | {mean:.3f} | {mean / limit:.2f} |")


def whole(plan: Plan, workers: int) -> None:
    """A whole run, files and all."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        adopt_plan(plan, out)
        start = time.perf_counter()
        summary = run_plan(out, executor=local_executor(workers))
        seconds = time.perf_counter() - start
    scale = 1024 if sys.platform == "darwin" else 1
    memory = [
        resource.getrusage(who).ru_maxrss / scale / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    print(
        f"| {workers} | {summary.made:,} | {seconds:.1f} | {2 * summary.made / seconds:,.0f} "
        f"| {summary.bytes / 1e6:,.0f} | {MIE_X / summary.made * seconds:,.0f} | {memory[0]:,.0f} / {memory[1]:,.0f} |"
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=1800)
    parser.add_argument("--nuisances", default=NUISANCES)
    given = parser.parse_args(arguments)
    plan = make_plan(given.faces or default_pool(), given.samples, given.nuisances)
    virtual = sum(plan.faces["virtual"].to_pylist())
    print(f"\n## The main job: {plan.rows.num_rows:,} pairs, {plan.faces.num_rows:,} identities ({virtual:,} virtual)")
    steps(plan)
    print(
        f"\n| workers | pairs | s | frames/s | MB | s for {MIE_X:,} pairs (budget 240) | peak MB: parent / a worker |\n"
        "|---|---|---|---|---|---|---|"
    )
    for workers in sorted({1, available_workers()}):
        whole(plan, workers)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
