"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import anatomy, muscle, recovery, resampling, synthesis, training

for benchmark in (resampling, muscle, anatomy, recovery, synthesis, training):
    benchmark.main([])
