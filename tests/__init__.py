"""Tests of miex, a folder for each room of it."""

import os

# Before numpy and torch are loaded: what they are given here is small, and threads that wait for each other cost more
# than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
