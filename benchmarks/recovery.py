"""Which AUs the embedded extractor reads off frames that were made with known ones.

    python -m benchmarks.recovery --faces DIR [--picture docs/aus-recovered.png] [--out FILE]

Each face gets one pair at 256 px in which every AU is on with probability 0.25, at an intensity of 0.1 to 0.3. Without
--faces, virtual relatives of the embedded face; the numbers of docs/limits.md are of photos of many people.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.page import page, parser
from miex.aus.vector import AU_NUMBERS, N_AUS
from miex.executors.local import available_workers, local_executor
from miex.extraction.flow import SIZE, EmbeddedExtractor
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool
from miex.figures import write_picture
from miex.generators.registry import describe, make_generator
from miex.labels import Label
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.quality.recovery import recovered_aus
from miex.report.au_pictures import recovery_picture
from miex.sources.expert import Emotion, ExpertSource, ExpertTable
from miex.sources.together import Independent
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("recovery", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--ids", type=int, default=300)
    options.add_argument("--picture", type=Path)
    given = options.parse_args(arguments)
    with page("AUs that the embedded extractor reads off frames made with known ones", options, given):
        measure(given.faces, given.ids, given.picture)


def measure(faces: Path, ids: int, picture: Path | None) -> None:
    """Print the table."""
    model, generator = MODEL.find(), describe(make_generator("muscle"))
    executor = local_executor(available_workers())
    each = Independent(np.full(N_AUS, 0.25), np.zeros(N_AUS))
    every = Emotion("any", "any", Label.negative, 1.0, each)
    source = ExpertSource(ExpertTable("each", "", (every,)))
    config = PlanConfig(ids=ids, classes=("negative",), size=SIZE, shard_size=50, nuisances="off")
    index = index_photos(faces, model=lambda: model, executor=executor)
    plan = build_plan(config, index, [source], generator, faces_root=str(faces.resolve()))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        adopt_plan(plan, out)
        run_plan(out, executor=executor)
        extractor = EmbeddedExtractor(model)
        found, known, read = recovered_aus(out, extractor, n=ids, executor=executor)
    print(
        f"{ids} pairs of {ids} faces of {SIZE} px, {found.n} of them read. Intensity read against intensity that the"
        " frames were made with, change from onset to apex. The generator is read by its own model.\n"
    )
    print("| AU | slope | correlation | where it is off, s.d. | largest cross-talk |\n|---|---|---|---|---|")
    for i, au in enumerate(AU_NUMBERS):
        most = np.abs(np.delete(found.crosstalk[i], i)).max()
        numbers = f"{found.slope[i]:.2f} | {found.correlation[i]:.3f} | {found.false_alarm[i]:.4f} | {most:.2f}"
        print(f"| {au} | {numbers} |")
    print(f"| mean | {found.slope.mean():.2f} | {found.correlation.mean():.3f} | {found.false_alarm.mean():.4f} | |")
    if picture:
        write_picture(recovery_picture(found, known, read, f"AUs read off faces of {SIZE} px"), picture)


if __name__ == "__main__":
    main()
