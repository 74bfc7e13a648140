"""Statements on a borrowed connection: what the server has closed meanwhile is not used."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.db import DataError, connection, connections, transaction

from config import statements

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pooled() -> Iterator[None]:
    """Threads that are begun in the meantime borrow from a pool of three."""
    settings = connections.settings["default"]
    before = copy.deepcopy(settings)
    settings |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    settings["OPTIONS"] = {
        **settings["OPTIONS"], "pool": {"min_size": 3, "max_size": 3, "timeout": 10}
    }  # fmt: skip
    yield
    settings.clear()
    settings.update(before)


def test_connections_that_a_restart_has_closed_fail_no_statement(pooled: None) -> None:
    found: list[object] = []

    def work() -> None:
        own: Any = connections["default"]
        try:
            own.pool.open()
            own.pool.wait()
            for _ in range(2):
                pids: set[int] = set()
                while len(pids) < 3:
                    pids.add(statements.execute("SELECT pg_backend_pid()", {})[0][0])
                with connection_of_owner() as other:
                    for pid in pids:
                        other.execute("SELECT pg_terminate_backend(%s, 60_000)", (pid,))
                found.append([statements.execute("SELECT 1 AS one", {}) for _ in range(3)])
        except Exception as error:
            found.append(error)
        finally:
            own.close_pool()

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[[(1,)]] * 3] * 2


def connection_of_owner() -> psycopg.Connection[tuple[object, ...]]:
    """One of its own, that ends the others."""
    settings = connection.settings_dict
    return psycopg.connect(
        dbname=settings["NAME"], user=settings["USER"], password=settings["PASSWORD"],
        host=settings["HOST"], port=settings["PORT"], autocommit=True,
    )  # fmt: skip


def test_a_statement_that_fails_or_gives_nothing_spoils_no_later_one() -> None:
    """All statements of a connection share a cursor."""
    divided = "SELECT 1 / %(by)s::int"
    assert statements.execute(divided, {"by": 1}) == [(1,)]
    with pytest.raises(DataError), transaction.atomic():
        statements.execute(divided, {"by": 0})
    assert statements.execute("SET work_mem TO DEFAULT", {}) == []
    assert statements.execute(divided, {"by": 1}) == [(1,)]
    assert statements.execute("SELECT %(at)s::timestamptz", {"at": EPOCH}) == [(EPOCH,)]
    many = {"many": statements.MANY_ROWS + 1}
    assert len(statements.execute("SELECT generate_series(1, %(many)s)", many)) == many["many"]
    assert not hasattr(connection.connection, "statements_cursor"), "it would keep them all"
    assert statements.execute(divided, {"by": 1}) == [(1,)]
