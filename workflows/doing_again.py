"""What of workflows was done again: turns of loops after the first, and retried results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from config.access.callers import Caller
from workflows import rights
from workflows.models import Run, RunEvent, StepRun

RETRIED = "run.retried"


@dataclass(frozen=True, slots=True)
class Again:
    """``times`` results of ``workflow`` that were done once more, counted at ``at``.

    ``id`` is of the step, or the number of the run's event.
    """

    at: datetime
    id: UUID | int
    workflow: str
    run_id: UUID
    step: str
    times: int


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended before it was retried: figures count every end of a run."""

    state: str
    ended_at: datetime
    seconds: float | None
    cost_usd: str


def end_of(run: Run, cost: Decimal, spent: Decimal) -> dict[str, Any]:
    """What is kept of the end of a run that is retried.

    ``cost`` is what was told with it, ``spent`` what its steps had cost in all.
    """
    if run.ended_at is None:
        return {}
    began = run.started_at or run.created_at
    return {
        "state": run.state, "ended_at": run.ended_at.isoformat(), "cost_usd": f"{cost:f}",
        "spent_usd": f"{spent:f}", "seconds": (run.ended_at - began).total_seconds(),
    }  # fmt: skip


def ended_before(
    *, since: datetime | None, until: datetime | None, states: Collection[str] = ()
) -> list[UUID]:
    """Runs that were retried after an end in [since, until), the newest first: ids only."""
    rows = _ends(since, until, states).order_by("-run_id")
    return list(rows.values_list("run_id", flat=True).distinct())


def earlier_ends(
    runs: Collection[UUID], *, since: datetime | None, until: datetime | None,
    states: Collection[str] = (),
) -> dict[UUID, list[End]]:  # fmt: skip
    """Ends in [since, until) of those of ``runs`` that were retried since, the latest first."""
    found: dict[UUID, list[End]] = {}
    rows = _ends(since, until, states).filter(run_id__in=list(runs))
    for run_id, kept in rows.order_by("-ended").values_list("run_id", "detail"):
        found.setdefault(run_id, []).append(
            End(kept["state"], datetime.fromisoformat(kept["ended_at"]), kept["seconds"],
                kept["cost_usd"])
        )  # fmt: skip
    return found


def _ends(since: datetime | None, until: datetime | None, states: Collection[str]) -> QuerySet[Any]:
    """Events of retries that keep an end in the time. An end is before its retry."""
    rows: QuerySet[Any] = RunEvent.objects.filter(name=RETRIED, detail__has_key="ended_at")
    rows = rows.annotate(ended=Cast(KeyTextTransform("ended_at", "detail"), DateTimeField()))
    if states:
        rows = rows.filter(detail__state__in=list(states))
    if since is not None:
        rows = rows.filter(at__gte=since, ended__gte=since)
    return rows if until is None else rows.filter(ended__lt=until)


def told_before(runs: Collection[UUID]) -> dict[UUID, Decimal]:
    """What those of the runs that were retried were told to have cost with their earlier ends."""
    found: dict[UUID, Decimal] = {}
    rows = RunEvent.objects.filter(run_id__in=runs, name=RETRIED, detail__has_key="cost_usd")
    for run_id, cost in rows.values_list("run_id", "detail__cost_usd"):
        found[run_id] = found.get(run_id, Decimal(0)) + Decimal(cost)
    return found


def turns(
    caller: Caller, asked: Mapping[str, Any], behind: Mapping[str, Any] | None, limit: int
) -> list[Again]:
    """Steps of ended runs that were a loop's second turn or later, the newest first.

    ``asked``: since, until, workflow, client, step; ``behind``: at and id that they come after.
    """
    rows: QuerySet[Any] = rights.visible(caller, StepRun.objects.all(), "run__")
    rows = rows.only("id", "run_id", "key")  # and nothing of what they gave
    rows = rows.filter(iteration__gt=1, started_at__isnull=False, ended_at__isnull=False)
    rows = rows.filter(run__ended_at__isnull=False)
    rows = _narrowed(rows, asked, at="run__ended_at", run="run__")
    if step := asked.get("step"):
        rows = rows.filter(key=step)
    rows = _after(rows, behind, "run__ended_at").order_by("-run__ended_at", "-id")
    return [
        Again(one.ended, one.pk, one.name, one.run_id, one.key, 1)
        for one in rows.annotate(ended=F("run__ended_at"), name=F("run__workflow_name"))[:limit]
    ]


def retries(
    caller: Caller, asked: Mapping[str, Any], behind: Mapping[str, Any] | None, limit: int
) -> list[Again]:
    """Retries of runs with how many failed results each made anew; as ``turns``."""
    if asked.get("step"):
        return []
    runs = _narrowed(rights.visible(caller, Run.objects.all()), asked, at="", run="")
    rows: QuerySet[Any] = RunEvent.objects.filter(name=RETRIED, detail__steps__gt=0)
    rows = _in_time(rows, asked, "at").filter(Exists(runs.filter(pk=OuterRef("run_id"))))
    found = list(_after(rows, behind, "at").order_by("-at", "-id")[:limit])
    names = dict(
        Run.objects.filter(pk__in={one.run_id for one in found}).values_list("pk", "workflow_name")
    )
    return [
        Again(one.at, one.pk, names[one.run_id], one.run_id, "", int(one.detail["steps"]))
        for one in found
    ]


def _narrowed(rows: QuerySet[Any], asked: Mapping[str, Any], *, at: str, run: str) -> QuerySet[Any]:
    if workflow := asked.get("workflow"):
        rows = rows.filter(**{f"{run}workflow_name": workflow})
    if client := asked.get("client"):
        rows = rows.filter(**{f"{run}client_id": client})
    return _in_time(rows, asked, at) if at else rows


def _in_time(rows: QuerySet[Any], asked: Mapping[str, Any], at: str) -> QuerySet[Any]:
    if since := asked.get("since"):
        rows = rows.filter(**{f"{at}__gte": since})
    if until := asked.get("until"):
        rows = rows.filter(**{f"{at}__lt": until})
    return rows


def _after(rows: QuerySet[Any], behind: Mapping[str, Any] | None, at: str) -> QuerySet[Any]:
    """Those before the time that ``behind`` names; of that very time those of smaller ids."""
    if behind is None:
        return rows
    when, last = behind["at"], behind.get("id")
    rows = rows.filter(**{f"{at}__lte": when})
    if last is None:
        return rows if behind["with_equal"] else rows.exclude(**{at: when})
    return rows.filter(Q(**{f"{at}__lt": when}) | Q(**{at: when, "id__lt": last}))
