"""The plan: every sample, before any pixel."""
