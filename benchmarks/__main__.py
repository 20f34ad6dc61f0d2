"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import muscle, recovery, resampling, synthesis

for benchmark in (resampling, muscle, recovery, synthesis):
    benchmark.main([])
