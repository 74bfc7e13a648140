"""What the runs of a workflow came to that met a split of it, unit by unit, now or as it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from config.partitions import first_id
from workflows.models import Run, WorkflowSplit

# Ids are made a little before the row is written.
SLACK = timedelta(hours=1)
FETCHED = 2_000


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one unit met, over all its ended runs in some epochs.

    ``failures`` counts the runs that did not succeed, also those that hang where these count.
    """

    unit: str
    bucket: int
    first_at: datetime
    calls: int
    failures: int
    cost_usd: float
    seconds: float
    tokens: int
    version: str


def outcomes(
    workflow: str, epochs: Sequence[int], *, unit: str, since: datetime, until: datetime,
    hanging_after: timedelta | None = None, came_from: datetime | None = None,
    units: Sequence[str] | None = None, before: datetime | None = None,
) -> Iterator[RunOutcome]:  # fmt: skip
    """Every unit that met the workflow in ``epochs``, its first run before ``until``.

    Only runs that have ended count, and with ``hanging_after`` those that began before ``until``
    and have not: they did not succeed, and count with that much time, which is the same at each
    look. What a run cost is what its steps did. ``came_from``: only units whose first run was not
    before. ``units``: of these alone. ``before``: runs as they had ended before this moment, also
    those that were retried since; none of them hangs, because what one costs that has not ended
    was never written down.
    """
    values: dict[str, Any] = {
        "workflow": workflow, "first_id": first_id(since - SLACK), "since": since,
        "epochs": list(epochs), "until": until, "spent": hanging_after or timedelta(),
    }  # fmt: skip
    parts = {**_NOW, "unit": _UNIT[unit], "units": "", "having": ""}
    if before is not None:
        parts |= _THEN
        values["before"] = before
    elif hanging_after is not None:
        parts["counts"] = f"({parts['counts']} OR r.created_at < %(until)s)"
    if units is not None:
        parts["units"] = f"AND {_UNIT[unit]} = ANY(%(units)s::uuid[])"
        values["units"] = list(units)
    if came_from is not None:
        parts["having"] = "AND min(r.created_at) >= %(came_from)s"
        values["came_from"] = came_from
    # All units of a long comparison are more than a process should hold.
    with connection.chunked_cursor() if units is None else connection.cursor() as cursor:
        cursor.execute(_OUTCOMES.format(met=_MET, **parts), values)
        while rows := cursor.fetchmany(FETCHED):
            for who, bucket, first_at, calls, failures, cost, seconds, version in rows:
                yield RunOutcome(
                    who, bucket, first_at, calls, failures, float(cost), float(seconds), 0, version
                )


def units_that_changed(
    workflow: str, *, unit: str, since: datetime, until: datetime, after: datetime,
    came_from: datetime, is_hanging: bool = False,
) -> dict[int, set[str]]:  # fmt: skip
    """Epoch → units with a run in it that ``outcomes(before=after)`` does not know as it is.

    That ended or was retried since. Beside them those with a run that began in [``came_from``,
    ``until``), and where such runs count (``is_hanging``) those with one that has not ended.
    """
    values: dict[str, Any] = {
        "workflow": workflow, "first_id": first_id(since - SLACK), "since": since,
        "after": after, "came_from": came_from, "until": until,
        "came_id": first_id(came_from - SLACK), "until_id": first_id(until + SLACK),
    }  # fmt: skip
    # One question each, so that each is found by its index.
    why = [_ENDED, _RETRIED, _CAME, *([_OPEN] if is_hanging else [])]
    changed = _CHANGED.format(unit=_UNIT[unit], met=_MET)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ".join(f"{changed} AND {one}" for one in why), values)
        found: dict[int, set[str]] = {}
        for epoch, who in cursor.fetchall():
            found.setdefault(epoch, set()).add(who)
    return found


def units_of_runs(
    workflow: str, epochs: Sequence[int], *, unit: str, since: datetime,
    units: Collection[str] | None = None, runs: Collection[UUID] | None = None,
) -> dict[UUID, str]:  # fmt: skip
    """Run → its unit, of all runs in ``epochs``; ``units``, ``runs``: of these alone."""
    by_run = unit == WorkflowSplit.Unit.RUN
    rows = Run.objects.filter(
        workflow_name=workflow, split_epoch__in=list(epochs), pk__gte=first_id(since - SLACK)
    ).order_by()
    if units is not None:
        rows = rows.filter(**{"pk__in" if by_run else "client_id__in": list(units)})
    if runs is not None:
        rows = rows.filter(pk__in=list(runs))
    return {
        run_id: str(run_id if by_run else client_id)
        for run_id, client_id in rows.values_list("pk", "client_id")
    }


_UNIT = {WorkflowSplit.Unit.RUN.value: "r.id", WorkflowSplit.Unit.CLIENT.value: "r.client_id"}
_MET = """r.workflow_name = %(workflow)s AND r.id >= %(first_id)s AND r.created_at >= %(since)s
      AND r.bucket IS NOT NULL AND NOT r.is_demo"""
_OUTCOMES = """
    {again}
    SELECT {unit}::text, min(r.bucket), min(r.created_at), count(*),
           count(*) FILTER (WHERE e.state <> 'succeeded'),
           coalesce(sum({cost}), 0),
           sum(extract(epoch FROM coalesce(e.ended_at - r.created_at, %(spent)s))),
           (array_agg(r.version_id::text ORDER BY r.id))[1]
    FROM workflows_run r {join}
    CROSS JOIN LATERAL (SELECT {state} AS state, {ended_at} AS ended_at) e
    LEFT JOIN LATERAL (
        SELECT sum(s.cost_usd) AS cost FROM workflows_steprun s WHERE s.run_id = r.id
    ) c ON true
    WHERE {met} AND r.split_epoch = ANY(%(epochs)s) {units} AND {counts}
    GROUP BY {unit} HAVING min(r.created_at) < %(until)s {having}
"""
_NOW = {
    "again": "", "join": "", "state": "r.state", "ended_at": "r.ended_at", "cost": "c.cost",
    "counts": "e.ended_at IS NOT NULL",
}  # fmt: skip
# A retry writes down the end that it takes back, so the first one since tells what stood then.
_THEN = {
    "again": """
    WITH again AS (
        SELECT DISTINCT ON (run_id) run_id, detail FROM workflows_runevent
        WHERE name = 'run.retried' AND at >= %(before)s ORDER BY run_id, at, id
    )""",
    "join": "LEFT JOIN again a ON a.run_id = r.id",
    "state": "CASE WHEN a.run_id IS NULL THEN r.state ELSE a.detail->>'state' END",
    "ended_at": "CASE WHEN a.run_id IS NULL THEN r.ended_at "
                "ELSE (a.detail->>'ended_at')::timestamptz END",
    "cost": "CASE WHEN a.run_id IS NULL THEN c.cost ELSE "
            "coalesce(a.detail->>'spent_usd', a.detail->>'cost_usd')::numeric END",
    "counts": "e.ended_at < %(before)s",
}  # fmt: skip
_CHANGED = """
    SELECT r.split_epoch, {unit}::text FROM workflows_run r
    WHERE {met} AND r.split_epoch IS NOT NULL"""
_ENDED = "r.ended_at >= %(after)s"
_RETRIED = """r.id IN (
    SELECT e.run_id FROM workflows_runevent e WHERE e.name = 'run.retried' AND e.at >= %(after)s
)"""
_CAME = """r.id >= %(came_id)s AND r.id < %(until_id)s
      AND r.created_at >= %(came_from)s AND r.created_at < %(until)s"""
# As the index of open runs is told.
_OPEN = """r.created_at < %(until)s AND NOT (r.state IN ('succeeded', 'failed', 'cancelled'))"""
