"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import muscle, resampling, synthesis

for benchmark in (resampling, muscle, synthesis):
    benchmark.main([])
