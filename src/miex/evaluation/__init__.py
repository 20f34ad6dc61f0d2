"""Evaluation: what may be trained on what, and how well it was recognized."""
