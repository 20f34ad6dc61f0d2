"""The members of one sample, read out of a shard's tar by its offset."""

from __future__ import annotations
