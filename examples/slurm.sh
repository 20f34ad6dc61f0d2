#!/bin/bash
# Make a set on a Slurm cluster: every job of an array renders its part of the shards, the last one finishes the set.
# Plan once, on a disk that all nodes see, then submit:
#
#     miex plan --faces photos --out mie-x
#     sbatch examples/slurm.sh mie-x
#
# Shards that are there are never made again: if jobs were killed, submit the whole array once more.
#SBATCH --job-name=miex
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
set -euo pipefail

miex run "$1" --shards "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --workers "${SLURM_CPUS_PER_TASK:-1}" --quiet
