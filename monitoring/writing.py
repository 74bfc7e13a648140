"""What monitoring writes with on every call's path: one prepared statement at a time."""

from __future__ import annotations

from config.statements import execute

__all__ = ["execute"]
