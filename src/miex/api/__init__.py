"""One function for each main job: what `import miex` offers, what each command calls."""
