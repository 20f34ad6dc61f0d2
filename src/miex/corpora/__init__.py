"""Readers of real corpora: tables and frame lists as they lie on disk; nothing here opens an image."""
