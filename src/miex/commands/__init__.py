"""The command line: parse, one call of `miex.api`, print."""
