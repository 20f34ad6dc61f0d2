"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import (
    anatomy,
    audit,
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
    spotting,
    synthesis,
    training,
    virtual,
)

for benchmark in (
    resampling, formats, muscle, anatomy, recovery, audit, virtual, identity, spotting, repainting, plan, proving,
    synthesis, training, ganimation, neutral,
):  # fmt: skip
    benchmark.main([])
