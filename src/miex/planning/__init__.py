"""The plan: every sample of a set, before any frame is rendered."""
