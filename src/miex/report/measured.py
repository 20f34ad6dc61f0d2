"""What was measured on a set's frames, told: as JSON values, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # measuring loads what telling does not need
    pass
