"""Make the picture of the README: `python -m tools.readme_picture`: five pairs of the embedded face, and what moved."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import miex.dataset
from miex.aus.vector import to_mapping
from miex.dataset import SampleData
from miex.executors.local import local_executor
from miex.faces.index import index_photos
from miex.faces.landmarks import MODEL
from miex.faces.photos import default_pool
from miex.generators.registry import describe, make_generator
from miex.planning.config import PlanConfig
from miex.planning.rows import build_plan
from miex.sources.expert import ExpertSource, load_table
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.run import run_plan

OUT = Path(__file__).parent.parent / "docs" / "pairs.png"
SIZE, GAP, TEXT = 176, 6, 22
EMOTIONS = ("happiness", "surprise", "surprise", "disgust", "negative")  # a column each


def main() -> None:
    """Synthesize, choose the first sample of each emotion with another identity, draw."""
    pool = default_pool()
    index = index_photos(pool, model=MODEL.find)
    config = PlanConfig(ids=60, size=SIZE)
    source = ExpertSource(load_table("micro"))
    plan = build_plan(config, index, [source], describe(make_generator("muscle")), faces_root=str(pool))
    with tempfile.TemporaryDirectory() as folder:
        adopt_plan(plan, Path(folder))
        run_plan(Path(folder), executor=local_executor(2))
        dataset = miex.dataset.open(folder)
        shown: list[SampleData] = []
        for emotion in EMOTIONS:
            there = {sample.identity for sample in shown}
            shown.append(next(s for s in dataset.select(emotion=emotion) if s.identity not in there))
        picture = Image.new("RGB", (len(EMOTIONS) * (SIZE + GAP) - GAP, 3 * (SIZE + GAP) + TEXT), "white")
        draw = ImageDraw.Draw(picture)
        for column, sample in enumerate(shown):
            x = column * (SIZE + GAP)
            onset, apex = sample.pair
            difference = np.clip(128 + 10 * (apex.astype(int) - onset), 0, 255).astype(np.uint8)
            for row, frame in enumerate((onset, apex, difference)):
                picture.paste(Image.fromarray(frame), (x, TEXT + row * (SIZE + GAP)))
            aus = " ".join(str(au) for au in to_mapping(sample.aus[sample.apex]))
            draw.text((x + 2, 5), f"{sample.emotion}: AU {aus}", fill="black")
    OUT.parent.mkdir(exist_ok=True)
    picture.save(OUT, optimize=True)
    print(OUT)


if __name__ == "__main__":
    main()
