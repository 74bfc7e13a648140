"""Workers of the release before go on while the database is already migrated."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from learning.models import Cycle, Improvement, Pattern, PatternCount

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 20)


def stored_without(row: Any, column: str) -> Any:
    """``row`` stored anew by a statement that does not know ``column``."""
    table, known = row._meta.db_table, [f.column for f in row._meta.concrete_fields]
    named = ", ".join(f'"{one}"' for one in known if one != column)
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE TEMPORARY TABLE before AS SELECT {named} FROM "{table}"')
        cursor.execute(f'DELETE FROM "{table}"')
        cursor.execute(f'INSERT INTO "{table}" ({named}) SELECT {named} FROM before')
        cursor.execute("DROP TABLE before")
    return type(row).objects.get(pk=row.pk)


def a_cycle(firm: Any) -> Any:
    return Cycle.objects.create(cadence="daily", tick=DAY)


def a_count(firm: Any) -> Any:
    seen = timezone.now()
    pattern = Pattern.objects.create(
        kind="failure", key="k", title="t", first_seen_at=seen, last_seen_at=seen
    )
    return PatternCount.objects.create(pattern=pattern, client_id=firm.pk, day=DAY, count=1)


def a_proposal(firm: Any) -> Any:
    return Improvement.objects.create(
        client_id=firm.pk, agent_slug="a", kind="prompt", title="T", digest="x"
    )


@pytest.mark.parametrize(
    ("make", "column", "value"),
    [
        (a_cycle, "mail_error", ""),
        (a_cycle, "mail_left", []),
        (a_count, "feedback_ids", []),
        (a_proposal, "work_item", {}),
    ],
)
def test_a_row_of_a_worker_that_does_not_know_the_newest_column_is_stored(
    firm, make, column, value
):
    assert getattr(stored_without(make(firm), column), column) == value
