"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import anatomy, identity, muscle, recovery, resampling, synthesis, training

for benchmark in (resampling, muscle, anatomy, recovery, identity, synthesis, training):
    benchmark.main([])
