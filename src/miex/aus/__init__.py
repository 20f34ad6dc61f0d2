"""Action units: their order and scale, and the sources of AU triplets."""
