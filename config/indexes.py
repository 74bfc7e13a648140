"""Indexes that are built beside running writes, and built anew where a build was interrupted."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently


class AddLiveIndex(AddIndexConcurrently):
    """An AddIndexConcurrently that may be run again, however far the last run came.

    PostgreSQL leaves an invalid index behind when such a build is interrupted, and the name is
    taken from then on: that one is dropped first. A whole one (only the migration's own record
    was lost) is kept.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        name = self.index.name
        is_whole = _is_whole(schema_editor.connection, name)
        if is_whole is False:
            schema_editor.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        if not is_whole:
            super().database_forwards(app_label, schema_editor, from_state, to_state)


def _is_whole(session: Any, index: str) -> bool | None:
    """Whether the index ``index`` was built to its end; None if there is none of that name."""
    with session.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident(%s))",
            [index],
        )
        found = cursor.fetchone()
        return None if found is None else bool(found[0])
