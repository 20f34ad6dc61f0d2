"""Action units: their order and scale, and their intensities in the frames of clips."""
