"""Sources of AUs to play: real and early, coded and expert; and how an expression goes on and off in time."""
