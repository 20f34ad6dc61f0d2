"""Run every benchmark: `python -m benchmarks`."""

from importlib.util import find_spec

from benchmarks import (
    anatomy,
    audit,
    cluster,
    duplicates,
    formats,
    ganimation,
    identity,
    muscle,
    neutral,
    plan,
    proving,
    recovery,
    repainting,
    resampling,
    similarity,
    spotting,
    streaming,
    studio,
    synthesis,
    training,
    virtual,
)

SEVERAL = [cluster] if find_spec("ray") else []
for benchmark in (
    resampling, formats, muscle, anatomy, recovery, audit, virtual, identity, duplicates, similarity, spotting,
    repainting, plan, proving, synthesis, *SEVERAL, training, streaming, studio, ganimation, neutral,
):  # fmt: skip
    benchmark.main([])
