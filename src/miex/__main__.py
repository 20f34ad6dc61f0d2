"""`python -m miex` is `miex`."""

from miex.commands.main import program_and_exit

program_and_exit()
