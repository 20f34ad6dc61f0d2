"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import anatomy, identity, muscle, plan, recovery, resampling, synthesis, training

for benchmark in (resampling, muscle, anatomy, recovery, identity, plan, synthesis, training):
    benchmark.main([])
