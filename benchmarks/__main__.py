"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import (
    anatomy,
    formats,
    identity,
    muscle,
    plan,
    recovery,
    repainting,
    resampling,
    spotting,
    synthesis,
    training,
)

for benchmark in (
    resampling, formats, muscle, anatomy, recovery, identity, spotting, repainting, plan, synthesis, training,
):  # fmt: skip
    benchmark.main([])
