"""Many rows at once: a test about thousands of calls should not spend its time on storing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault
from psycopg.types.json import Jsonb

Row = TypeVar("Row", bound=models.Model)


def _is_given(key: models.Field[Any, Any]) -> bool:
    """Whether a new row's key comes by itself; others are names."""
    return key.has_default() or isinstance(key, models.AutoField)


def _is_its_time(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.DateTimeField) and field.has_db_default()


def anew(row: Row, **changes: Any) -> Row:
    """An unsaved object like ``row``, but for what each row is given anew: its id and its times."""
    given = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if not (_is_its_time(field) or (field.primary_key and _is_given(field)))
    }
    return type(row)(**{**given, **changes})


def insert(objects: Iterable[Row]) -> list[Row]:
    """Insert unsaved objects of one model, and give them back as ``bulk_create`` does.

    By COPY: Django makes an expression of every value, which takes ten times as long. What the
    database gives by itself stays unknown to the objects.
    """
    rows = list(objects)
    if not rows:
        return []
    table = type(rows[0])._meta
    fields = [
        field
        for field in table.concrete_fields
        if not isinstance(getattr(rows[0], field.attname), DatabaseDefault)
        and not (field is table.auto_field and rows[0].pk is None)
    ]
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    documents = {n for n, field in enumerate(fields) if isinstance(field, models.JSONField)}
    into = f"COPY {connection.ops.quote_name(table.db_table)} ({names}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            values = [field.pre_save(row, True) for field in fields]
            for n in documents:
                if values[n] is not None:
                    values[n] = Jsonb(values[n])
            copy.write_row(values)
            row._state.adding, row._state.db = False, connection.alias
    return rows


_made: dict[Callable[[], object], list[list[models.Model]]] = {}


def as_made_by(make: Callable[[], object], *kinds: type[models.Model]) -> None:
    """Have the rows of these kinds that ``make`` makes where there are none.

    A process sees it do so once and stores the same rows afterwards, with ids and times of their
    own. Beside rows that are there ``make`` does its work each time.
    """
    if any(kind.objects.exists() for kind in kinds):  # type: ignore[attr-defined]
        make()
    elif make in _made:
        for rows in _made[make]:
            insert(map(anew, rows))
    else:
        make()
        _made[make] = [list(kind.objects.order_by("pk")) for kind in kinds]  # type: ignore[attr-defined]
