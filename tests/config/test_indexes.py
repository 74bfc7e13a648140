"""A build of an index that was interrupted is mended by migrating again."""

from __future__ import annotations

from importlib import import_module

import psycopg
import pytest
from django.apps import apps
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader

NAME = "score_standing"


def _state() -> list[tuple[bool, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid, indexrelid::bigint FROM pg_index "
            "WHERE indexrelid = to_regclass(%s)",
            [NAME],
        )
        return list(cursor.fetchall())


def _migrate() -> None:
    """Run the migration's own operations, as ``migrate`` does where its record is missing."""
    made = import_module("learning.migrations.0008_score_standing").Migration(NAME, "learning")
    before = MigrationLoader(connection).project_state(("learning", "0007_judges"))
    with connection.schema_editor(atomic=made.atomic) as editor:
        made.apply(before, editor)


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_build_of_an_index_is_made_anew_and_a_whole_one_is_kept() -> None:
    table = apps.get_model("learning", "Score")._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {NAME}")
    params = connection.get_connection_params()
    own = {
        key: params[key] for key in ("dbname", "user", "password", "host", "port") if key in params
    }
    with psycopg.connect(**own) as writer, connection.cursor() as cursor:
        writer.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
        cursor.execute("SET lock_timeout = '100ms'")
        try:
            with pytest.raises(OperationalError):
                _migrate()
        finally:
            cursor.execute("RESET lock_timeout")
    assert [is_whole for is_whole, _ in _state()] == [False]

    _migrate()
    (whole,) = _state()
    assert whole[0]

    _migrate()
    assert _state() == [whole]
