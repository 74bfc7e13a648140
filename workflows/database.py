"""One statement to PostgreSQL, bound on the server and prepared, on Django's own connection.

The engine's hot path is a handful of statements sent thousands of times a second. Django's cursor
binds in Python and prepares nothing; these go as ``config.statements`` sends them, with plans that
are made anew now and then. They take part in ``transaction.atomic`` and in the pool.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from psycopg.types.json import Jsonb

from config import statements

P = ParamSpec("P")
T = TypeVar("T")

# Two finishes may lock rows of a run in two orders; PostgreSQL ends one, which is then repeated.
TRANSIENT = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
TRIES = 6
# A plan looks at the table's size when it is made; a table that was small then may be large now.
PLANS_KEPT_SECONDS = 10.0


def execute(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of ``statement``; none for one that returns nothing."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        _plan_anew_now_and_then(connection.connection)
    return statements.execute(statement, parameters)


def database_time() -> datetime:
    """The time by the clock that everybody shares; that of a worker may jump or be wrong."""
    at: datetime = execute("SELECT now()", {})[0][0]
    return at


def _plan_anew_now_and_then(session: Any) -> None:
    now = time.monotonic()
    planned_at = session.__dict__.setdefault("planned_at", now)
    if now - planned_at > PLANS_KEPT_SECONDS:
        session.planned_at = now
        # psycopg sees it, and prepares again; but not one that it has met while nothing was
        # prepared (after a rollback), so each is a text of its own.
        session.execute(f"DEALLOCATE ALL -- {now}")


def as_json(value: Any) -> Jsonb | None:
    """``value`` as a jsonb parameter; None stays NULL."""
    return None if value is None else Jsonb(value, dumps=plain_text)


def plain_text(value: Any) -> str:
    """``value`` as JSON text that is always storable: for errors, which may quote anything.

    NUL characters and lone surrogates become U+FFFD, NaN and infinity null.
    """
    return statements.storable(value, default=str)


def from_json(value: Any) -> Any:
    """A jsonb column as read by a raw cursor (text, because Django decodes it itself)."""
    return json.loads(value) if isinstance(value, str | bytes) else value


def repeat_if_deadlocked(service: Callable[P, T]) -> Callable[P, T]:
    """Run a whole transaction again when PostgreSQL chose it as a deadlock's victim.

    Inside an outer transaction there is nothing to repeat: the error passes through.
    """

    @wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, TRIES + 1):
            try:
                return service(*args, **kwargs)
            except OperationalError as error:
                transient = isinstance(error.__cause__, TRANSIENT)
                if not transient or attempt == TRIES or connection.in_atomic_block:
                    raise
                time.sleep(0.005 * attempt)
        raise AssertionError("unreachable")

    return run


__all__ = [
    "as_json",
    "database_time",
    "execute",
    "from_json",
    "plain_text",
    "repeat_if_deadlocked",
    "transaction",
]
