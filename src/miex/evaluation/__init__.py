"""Evaluation: folds, the leak guard, metrics, and the significance of differences."""
