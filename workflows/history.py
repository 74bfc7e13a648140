"""What happened in a run, from its events: all of them in order, or each attempt at a step."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from workflows.database import execute, from_json

_ATTEMPTS = """
SELECT step_id, attempt, name, at, detail->>'code', actor FROM workflows_runevent
WHERE run_id = %(run)s AND step_id IS NOT NULL AND attempt > 0 ORDER BY id
"""


def attempts_of(run_id: UUID) -> dict[UUID, list[dict[str, Any]]]:
    """Every attempt at every step, from the run's history."""
    found: dict[UUID, dict[int, dict[str, Any]]] = defaultdict(dict)
    for step_id, attempt, name, at, code, actor in execute(_ATTEMPTS, {"run": run_id}):
        one = found[step_id].setdefault(
            attempt, {"attempt": attempt, "started_at": None, "ended_at": None, "state": "running"}
        )
        what = name.removeprefix("step.")
        if what == "started":
            one["started_at"], one["worker"] = at, actor
            continue
        one["ended_at"], one["state"] = at, "failed" if what == "retried" else what
        one["error_code"] = code
        if one["started_at"] is None:  # a light step that its worker went on with
            one["started_at"], one["worker"], one["is_continued"] = at, actor, True
    return {step: [by[n] for n in sorted(by)] for step, by in found.items()}


# A reader that remembers the last event it saw misses none if it sees them in the order of their
# transactions: one that is still open, anywhere on the server, makes later ones unsettled.
_EVENTS = """
SELECT transaction, id, step_id, key, item, attempt, name, detail::text, actor, at,
    transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS settled
FROM workflows_runevent
WHERE run_id = %(run)s AND (transaction, id) > (%(transaction)s, %(id)s)
    AND (%(all)s OR transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
ORDER BY transaction, id LIMIT %(limit)s
"""


def events_after(
    run_id: UUID, cursor: str = "", *, limit: int = 500, has_ended: bool = False
) -> list[dict[str, Any]]:
    """Events of a run behind ``cursor`` (an event's ``id``), oldest first.

    Of a run that ``has_ended`` nothing more is waited for, so unsettled ones are among them.
    """
    return [_event(row) for row in _events(run_id, cursor, limit, unsettled=has_ended)]


_LATEST = """
SELECT transaction, id, step_id, key, item, attempt, name, detail::text, actor, at,
    transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS settled
FROM workflows_runevent WHERE run_id = %(run)s
ORDER BY transaction DESC, id DESC LIMIT %(limit)s
"""
_COUNT = "SELECT count(*) FROM workflows_runevent WHERE run_id = %(run)s"


def latest(run_id: UUID, *, limit: int) -> tuple[list[dict[str, Any]], int, str]:
    """The last events of a run as they are now, newest first, how many there are in all, and the
    cursor of a reader that goes on."""
    rows = execute(_LATEST, {"run": run_id, "limit": limit})
    total = execute(_COUNT, {"run": run_id})[0][0] if len(rows) == limit else len(rows)
    cursor = next((f"{row[0]}-{row[1]}" for row in rows if row[-1]), "")
    return [_event(row) for row in rows], total, cursor


def _events(run_id: UUID, cursor: str, limit: int, *, unsettled: bool) -> list[Any]:
    transaction, _, number = cursor.partition("-")
    return execute(
        _EVENTS,
        {
            "run": run_id,
            "transaction": _number(transaction),
            "id": _number(number),
            "all": unsettled,
            "limit": limit,
        },
    )


def _number(text: str) -> int:
    """A part of a cursor; of what is none, that of the beginning."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _event(row: Any) -> dict[str, Any]:
    transaction, number, step_id, key, item, attempt, name, detail, actor, at, _ = row
    return {
        "id": f"{transaction}-{number}", "name": name, "key": key,
        "step_id": str(step_id) if step_id else None,
        "index": item if item >= 0 else None, "attempt": attempt,
        "detail": from_json(detail), "actor": actor, "at": at,
    }  # fmt: skip
