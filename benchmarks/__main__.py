"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import muscle, recovery, resampling, synthesis, training

for benchmark in (resampling, muscle, recovery, synthesis, training):
    benchmark.main([])
