"""`python -m miex` is `miex`."""

from miex.cli import main

main()
