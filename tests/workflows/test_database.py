"""The engine's own way to the database: statements prepared, planned anew, never lost."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from workflows import database
from workflows.database import execute

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_that_was_rolled_back_goes_on_planning_its_statements_anew() -> None:
    """It ended with "prepared statement does not exist", for every statement from then on."""

    def later() -> None:
        connection.connection.planned_at -= 2 * database.PLANS_KEPT_SECONDS

    assert execute("SELECT 1", {}) == [(1,)]
    for _ in range(3):
        with pytest.raises(RuntimeError), transaction.atomic():
            execute("SELECT 2", {})
            raise RuntimeError("rolled back: nothing is prepared now")
        for _ in range(3):
            later()
            assert execute("SELECT 1", {}) == [(1,)]
