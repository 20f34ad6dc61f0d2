"""miex: face images and action units in, labelled micro-expression data out."""

from importlib.metadata import version

__version__ = version("miex")
