"""The muscle generator."""

from miex.generators.muscle.generator import MuscleGenerator, MuscleRig

__all__ = ["MuscleGenerator", "MuscleRig"]
