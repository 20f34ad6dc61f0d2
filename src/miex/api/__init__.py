"""One function for each main job: `import miex` offers them, and commands call them."""
