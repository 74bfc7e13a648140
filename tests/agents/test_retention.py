from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from agents import retention
from agents.models import ToolCall
from config import partitions

pytestmark = pytest.mark.django_db
NOW = datetime(2031, 5, 20, tzinfo=UTC)


def row(at: datetime) -> UUID:
    made = partitions.first_id(at + timedelta(hours=1))
    ToolCall.objects.create(
        id=made, client_id=made, name="core.echo", state="succeeded", started_at=at
    )
    return made


def table_of(row_id: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM agents_toolcall WHERE id = %s", [row_id]
        )
        return cursor.fetchone()[0]


def test_coming_months_are_made_once_and_take_their_rows():
    made = retention.prepare(NOW)
    assert "agents_toolcall_y2031m05" in made
    assert "agents_invocation_y2031m08" in made
    assert retention.prepare(NOW) == []
    assert table_of(row(NOW)) == "agents_toolcall_y2031m05"
    assert table_of(row(datetime(2031, 6, 1, tzinfo=UTC))) == "agents_toolcall_y2031m06"


def test_a_month_that_nobody_prepared_goes_to_the_default_partition():
    assert table_of(row(datetime(2044, 1, 1, tzinfo=UTC))) == "agents_toolcall_default"
    made = retention.prepare(datetime(2044, 1, 5, tzinfo=UTC))
    assert "agents_toolcall_y2044m01" not in made
    assert "agents_toolcall_y2044m02" in made


def test_retention_drops_whole_months_only():
    retention.prepare(NOW)
    kept, gone = row(datetime(2031, 6, 2, tzinfo=UTC)), row(datetime(2031, 5, 2, tzinfo=UTC))
    dropped = retention.forget(datetime(2031, 6, 15, tzinfo=UTC))
    assert "agents_toolcall_y2031m05" in dropped
    assert "agents_toolcall_y2031m06" not in dropped
    assert ToolCall.objects.filter(pk=kept).exists()
    assert not ToolCall.objects.filter(pk=gone).exists()


def test_the_functions_of_the_owner_touch_partitions_of_these_tables_only():
    for parent, part in [
        ("access_user", "access_user_y2031m05"),
        ("agents_toolcall", "access_user"),
        ("agents_toolcall", 'agents_toolcall_y2031m05"; DROP TABLE x; --'),
    ]:
        with pytest.raises(DatabaseError, match="not a monthly partition"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT agents_drop_month(%s, %s)", [parent, part])


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ((2026, 11), [(2026, 11), (2026, 12), (2027, 1)]),
        ((2026, 12), [(2026, 12), (2027, 1), (2027, 2)]),
    ],
)
def test_months_follow_each_other_over_the_year(start, expected):
    months = partitions.months_from(datetime(*start, 17, tzinfo=UTC), 2)
    assert [(m.year, m.month) for m in months] == expected
