"""One statement to PostgreSQL, bound on the server and prepared: for what every call pays for.

Django's cursor binds in Python and prepares nothing, so that each call is parsed and planned anew.
This uses Django's own connection where there is one, and so takes part in its transactions; else
its pool. A statement whose best plan depends on its parameters must not come here: plans are
generic (see the settings).
"""

from __future__ import annotations

import json
import select
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import DatabaseDefault
from psycopg_pool import ConnectionPool

# A cursor keeps what it read last: one that read more than this is not kept itself.
MANY_ROWS = 1_000


def execute(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of ``statement``; none for one that returns nothing.

    A thread that has no connection borrows one of the pool for no longer than this takes, without
    what Django sets up on a connection of its own each time.
    """
    own: Any = connections[DEFAULT_DB_ALIAS]
    pool = own.pool if own.connection is None else None
    if pool is None:
        own.ensure_connection()
        with own.wrap_database_errors:
            return _run(own.connection, statement, parameters)
    with own.wrap_database_errors:
        borrowed = _borrow(pool)
        try:
            if not borrowed.autocommit:
                borrowed.autocommit = True
            return _run(borrowed, statement, parameters)
        finally:
            pool.putconn(borrowed)


def _borrow(pool: ConnectionPool[Any]) -> psycopg.Connection[Any]:
    """A connection that the server has not closed meanwhile.

    One that lies idle has nothing to say; where there is something to be read, it is asked.
    """
    if pool.closed:
        pool.open()
    while True:
        borrowed = pool.getconn()
        if not _can_read(borrowed.fileno()):
            return borrowed
        try:
            pool.check_connection(borrowed)
        except psycopg.OperationalError:
            pool.putconn(borrowed)  # which closes it and makes another
        else:
            return borrowed


def _can_read(fileno: int) -> bool:
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


def _run(
    connection: psycopg.Connection[Any], statement: str, parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    cursor = _cursor_of(connection)
    cursor.execute(statement, parameters, prepare=True)
    # Not by its description: that makes an object of every column.
    rows = cursor.fetchall() if (got := cursor.pgresult) and got.nfields else []
    if len(rows) > MANY_ROWS:
        del connection.statements_cursor  # type: ignore[attr-defined]
    return rows


def _cursor_of(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """The connection's cursor for statements of this module, which knows its types already.

    One a statement was a sixth of what the statement cost us. One thread has a connection at a
    time, and all rows are fetched before the next statement.
    """
    kept: psycopg.Cursor[Any] | None = getattr(connection, "statements_cursor", None)
    if kept is None:
        kept = psycopg.Cursor(connection)
        connection.statements_cursor = kept  # type: ignore[attr-defined]
    return kept


def rows_of(objects: Sequence[models.Model]) -> str:
    """Unsaved objects of one model as JSON that ``jsonb_populate_recordset`` makes rows of.

    One text parameter whatever the columns, so there is one prepared statement: with a parameter
    a column, each mix of NULLs and sizes of numbers would be a statement of its own.
    """
    if not objects:
        return "[]"
    columns, left_to_database = _columns(type(objects[0]))
    values = vars(objects[0])
    skipped = {name for name in left_to_database if isinstance(values[name], DatabaseDefault)}
    fields = [one for one in columns if one[1] not in skipped] if skipped else columns
    return storable([{column: row[name] for column, name in fields} for row in map(vars, objects)])


@cache
def _columns(model: type[models.Model]) -> tuple[list[tuple[str, str]], list[str]]:
    """Columns with their attributes, and the attributes that the database may have to fill."""
    fields = model._meta.concrete_fields
    return (
        [(str(one.column), one.attname) for one in fields],
        [one.attname for one in fields if one.has_db_default()],
    )


def storable(value: Any, *, default: Callable[[Any], Any] | None = None) -> str:
    """``value`` as JSON that PostgreSQL takes.

    NUL and lone surrogates become U+FFFD, NaN and infinities null. ``default`` says what becomes
    of objects that JSON does not know; without it they raise TypeError but for the usual ones.
    """
    text = (
        _usual(value) if default is None else json.dumps(value, default=default, ensure_ascii=False)
    )
    if _is_encodable(text) and not any(odd in text for odd in ("\\u0000", "NaN", "Infinity")):
        return text
    clean = _clean(json.loads(text, parse_constant=lambda _: None))
    return json.dumps(clean, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, date):  # or a datetime
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} is no JSON")


_usual = json.JSONEncoder(default=_plain, ensure_ascii=False).encode


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_clean(part) for part in value]
    return value
