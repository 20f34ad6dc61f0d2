"""`python -m miex` is `miex`."""

from miex.commands.main import main

main()
