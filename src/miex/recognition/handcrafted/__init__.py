"""Hand-crafted descriptors with a linear support vector machine: one file for each."""
