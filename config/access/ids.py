"""Identifiers: UUID version 7, made in Python, so that a row knows its id before it is written."""

from __future__ import annotations

import uuid

import uuid_utils


def uuid7() -> uuid.UUID:
    """A time-ordered id (RFC 9562, section 5.7); later calls sort after earlier ones."""
    return uuid.UUID(int=uuid_utils.uuid7().int)
