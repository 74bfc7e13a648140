"""One statement to PostgreSQL, bound on the server and prepared: for what every call pays for.

Django's cursor binds in Python and prepares nothing. This uses Django's own connection, so it
takes part in its transactions and its pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection


def execute(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of ``statement``; none for one that returns nothing."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []
