"""Monthly partitions of big tables: RANGE on their UUIDv7 ``id``, whose first 48 bits are a time.

The primary key stays ``id`` alone, so the admin and references work as on any table. A default
partition catches rows of months that nobody prepared; nothing is ever refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.migrations.operations import AddIndex, CreateModel

# How many months ahead exist at any time, so that a stopped beat has weeks to be noticed.
MONTHS_AHEAD = 3


class CreatePartitionedModel(CreateModel):
    """A CreateModel whose table is partitioned by RANGE on ``id``, with its default partition."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = plain + " PARTITION BY RANGE (id)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain
        table = to_state.apps.get_model(app_label, self.name)._meta.db_table
        schema_editor.execute(default_partition_sql(table))
        first = datetime.now(UTC)
        for month in months_from(first, MONTHS_AHEAD):
            schema_editor.execute(partition_sql(table, month))


class AddPartitionedIndex(AddIndex):
    """An AddIndex for a partitioned table that stops nobody from writing while it is built.

    The parent's index is made empty, each partition's concurrently, and then attached; what an
    interrupted run left is made anew. Its migration is not atomic.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table, name = model._meta.db_table, self.index.name
        made = str(self.index.create_sql(model, schema_editor))
        head, _, columns = made.partition(f' ON "{table}"')
        if not columns or head != f'CREATE INDEX "{name}"':
            raise ValueError(f"not a plain index: {made}")
        schema_editor.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON ONLY "{table}"{columns}')
        for part, is_broken in _parts_of(schema_editor.connection, table, name):
            own = f"{part}_{name}"
            if is_broken:
                schema_editor.execute(f'DROP INDEX CONCURRENTLY "{own}"')
            schema_editor.execute(
                f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{own}" ON "{part}"{columns}'
            )
            schema_editor.execute(f'ALTER INDEX "{name}" ATTACH PARTITION "{own}"')


def _parts_of(session: Any, table: str, index: str) -> list[tuple[str, bool]]:
    """Partitions of ``table``, each with whether its part of ``index`` was left half made."""
    with session.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, coalesce(NOT x.indisvalid, false) FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid "
            "LEFT JOIN pg_index x ON x.indexrelid = to_regclass(quote_ident(c.relname || %s)) "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY 1",
            [f"_{index}", table],
        )
        found: list[tuple[str, bool]] = cursor.fetchall()
        return found


def months_from(start: datetime, ahead: int) -> Iterator[datetime]:
    """First instants of the month of ``start`` and of the ``ahead`` months after it."""
    month = datetime(start.year, start.month, 1, tzinfo=UTC)
    for _ in range(ahead + 1):
        yield month
        month = next_month(month)


def next_month(month: datetime) -> datetime:
    """The first instant of the month after ``month``."""
    year, number = divmod(month.year * 12 + month.month, 12)
    return datetime(year, number + 1, 1, tzinfo=UTC)


def first_id(at: datetime) -> UUID:
    """The smallest value that a UUIDv7 made at or after ``at`` can have (RFC 9562, 5.7)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def time_of(key: UUID) -> datetime:
    """When this UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)


def default_partition_sql(table: str) -> str:
    """DDL of the partition that takes what no month takes."""
    return f'CREATE TABLE IF NOT EXISTS "{table}_default" PARTITION OF "{table}" DEFAULT'


def partition_name(table: str, month: datetime) -> str:
    """The table of one month, for instance ``agents_invocation_y2026m11``."""
    return f"{table}_y{month.year}m{month.month:02d}"


def partition_sql(table: str, month: datetime) -> str:
    """DDL of one month's partition."""
    return (
        f'CREATE TABLE IF NOT EXISTS "{partition_name(table, month)}" PARTITION OF "{table}" '
        f"FOR VALUES FROM ('{first_id(month)}') TO ('{first_id(next_month(month))}')"
    )


def existing_months(table: str) -> dict[str, datetime]:
    """The monthly partitions that ``table`` has: name to first instant."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s)",
            [table],
        )
        names = [name for (name,) in cursor.fetchall()]
    found = {}
    for name in names:
        year, _, month = name.removeprefix(f"{table}_y").partition("m")
        if year.isdigit() and month.isdigit():
            found[name] = datetime(int(year), int(month), 1, tzinfo=UTC)
    return found


def _guard(tables: Sequence[str], what: str) -> str:
    known = ", ".join(f"'{table}'" for table in tables)
    return f"""
        IF parent <> ALL (ARRAY[{known}])
            OR part !~ ('^' || parent || '_y[0-9]{{4}}m[0-9]{{2}}$') THEN
            RAISE EXCEPTION 'not a monthly partition{what}: % of %', part, parent;
        END IF;"""


def owner_functions_sql(prefix: str, tables: list[str], *, kept: Sequence[str] = ()) -> list[str]:
    """DDL of two functions that let the application's role prepare and drop months of ``tables``.

    The application may not create tables; these run with the rights of the migrations' role, and
    touch nothing but partitions of the tables named here. Months of ``kept`` tables are prepared
    too; to drop one is for the tables' owner.
    """
    added = _guard([*tables, *kept], "")
    dropped = _guard(tables, " that may be dropped")
    head = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$ BEGIN"
    return [  # names come from migrations, never from outside
        f"""CREATE OR REPLACE FUNCTION {prefix}_add_month(
            parent text, part text, low uuid, high uuid) RETURNS void {head} {added}
        EXECUTE format('CREATE TABLE IF NOT EXISTS public.%I PARTITION OF public.%I '
            'FOR VALUES FROM (%L) TO (%L)', part, parent, low, high);
        END $$""",  # noqa: S608
        f"""CREATE OR REPLACE FUNCTION {prefix}_drop_month(parent text, part text)
        RETURNS void {head} {dropped}
        EXECUTE format('DROP TABLE IF EXISTS public.%I', part);
        END $$""",
    ]


def ensure_months(
    prefix: str, table: str, *, now: datetime, ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Create what is missing of this month and the coming ones; returns the new names.

    A month whose rows already lie in the default partition stays there: PostgreSQL refuses the
    overlap, and reads are right all the same.
    """
    existing = existing_months(table)
    missing = [
        month for month in months_from(now, ahead) if partition_name(table, month) not in existing
    ]
    made = []
    with connection.cursor() as cursor:
        for month in missing:
            low, high = first_id(month), first_id(next_month(month))
            cursor.execute(
                f'SELECT EXISTS (SELECT 1 FROM "{table}_default" WHERE id >= %s AND id < %s)',  # noqa: S608
                [low, high],
            )
            if not cursor.fetchone()[0]:
                name = partition_name(table, month)
                cursor.execute(f"SELECT {prefix}_add_month(%s, %s, %s, %s)",
                               [table, name, low, high])  # fmt: skip
                made.append(name)
    return made


def drop_months_before(prefix: str, table: str, *, before: datetime) -> list[str]:
    """Drop partitions that end at or before ``before`` (retention); returns their names."""
    gone = sorted(
        name for name, month in existing_months(table).items() if next_month(month) <= before
    )
    with connection.cursor() as cursor:
        for name in gone:
            cursor.execute(f"SELECT {prefix}_drop_month(%s, %s)", [table, name])
    return gone
