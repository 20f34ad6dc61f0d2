"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import anatomy, identity, muscle, plan, recovery, repainting, resampling, spotting, synthesis, training

for benchmark in (resampling, muscle, anatomy, recovery, identity, spotting, repainting, plan, synthesis, training):
    benchmark.main([])
