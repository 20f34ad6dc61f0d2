"""The command line: each command parses, makes one call of `miex.api`, and prints."""
