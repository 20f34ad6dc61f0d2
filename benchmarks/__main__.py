"""Run every benchmark: `python -m benchmarks`."""

from benchmarks import muscle, resampling, synthesis, training

for benchmark in (resampling, muscle, synthesis, training):
    benchmark.main([])
