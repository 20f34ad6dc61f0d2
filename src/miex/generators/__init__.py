"""Generators: an aligned face and AU vectors in, frames out."""
