"""How large the long drills are: ``CHAOS_SCALE=0.1 make chaos`` is a tenth, to try them out."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("CHAOS_SCALE", "1"))


def scaled(number: int, *, least: int = 1) -> int:
    """``number`` at the scale asked for, but ``least``."""
    return max(least, round(number * SCALE))
