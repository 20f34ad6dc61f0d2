"""Recognizers and what they look at."""
