"""What is asked of the database, counted at the driver: Django's statements and prepared ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

# What the tests' own transactions add, and no shipped process sends.
_FRAME = ("SAVEPOINT", "RELEASE SAVEPOINT")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Every statement of this process while the block lasts, but for savepoints."""
    told: list[str] = []
    real = psycopg.Cursor.execute

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        text = str(query)
        if not text.startswith(_FRAME):
            told.append(text)
        return real(self, query, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        yield told
