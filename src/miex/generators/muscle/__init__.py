"""The muscle generator (DESIGN §6)."""

from miex.generators.muscle.generator import MuscleGenerator, MuscleRig

__all__ = ["MuscleGenerator", "MuscleRig"]
