"""Giving the database connection back before a wait."""

from __future__ import annotations

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections


def release() -> None:
    """Return this thread's connection to the pool; call it before waiting for anything.

    Without a pool (forked workers keep one connection each) there is nobody to give it to, and
    closing it would only cost a new one. Inside a transaction the caller has decided otherwise.
    """
    own = connections[DEFAULT_DB_ALIAS]
    # Most often there is none: statements of the hot path borrow one each.
    if own.connection is not None and settings.DATABASE_POOL and not own.in_atomic_block:
        own.close()


def end_of_work() -> None:
    """Close this thread's connection (to the pool, if there is one); for threads of our own.

    Without a pool such a thread would keep a connection that nobody else can use.
    """
    if not connection.in_atomic_block:
        connection.close()
