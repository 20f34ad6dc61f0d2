"""Action units: their order and scale, and what was seen of them in the frames of clips."""
