"""The list of runs: filters in the address, pages by cursor, the same as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.access.models import Client
from config.pages import page
from monitoring import lists
from monitoring.asked import asked
from monitoring.lists import Listing
from workflows import documents, payloads, queries
from workflows.doing_again import End, earlier_ends, ended_before, told_before
from workflows.domain.transitions import FINAL_RUN_STATES, RunState
from workflows.models import Run, Workflow
from workflows.plans import plan_for

PAGE = 50
# Runs that ended before a retry are sought so many at a time.
AT_ONCE = 500
Ends = dict[UUID, list[End]]
COLUMNS = ("id", "workflow", "state", "client", "created_at", "started_at", "ended_at",
           "duration_seconds", "cost_usd", "steps_done", "steps", "automated_ratio",
           "started_by", "priority")  # fmt: skip
OPEN = [state.value for state in RunState if state not in FINAL_RUN_STATES]


@require_GET
@page("runs:read")
def all_runs(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/runs``; ``?state= workflow= client= priority= since= until= range= q= before=``.

    A ``range`` is about when runs ended, as figures are: it leaves out what is under way.
    """
    chosen = _filtered(request, caller).select_related("version")
    before = _uuid(request.GET.get("before", ""))
    rows, earlier = _newest(request, caller, chosen, PAGE + 1, before)
    shown = rows[:PAGE]
    clients = caller.only_visible(Client.objects.all(), "id").order_by("name")
    context = {
        "rows": _ends(request, caller, run_rows(shown), earlier),
        "next": str(shown[-1].pk) if len(rows) > PAGE else "",
        "is_filtered": any(v for k, v in request.GET.items() if k != "before"),
        "states": [state.value for state in RunState],
        "workflows": Workflow.objects.values_list("name", "title"),
        "clients": clients[:200],
        "words": _ended_words(request, caller) or _words(caller),
        "priorities": queries.PRIORITIES,
        "dead": queries.dead_letters(caller).count(),
    }
    return render(request, "runs/runs.html", context)


def _ended_words(request: HttpRequest, caller: Caller) -> str:
    """The first line where a figure has led here: which runs these are."""
    given = request.GET
    since, until = _moment(given.get("since", "")), _moment(given.get("until", ""))
    inner = " Runs inside of others are among them." if given.get("nested") else ""
    if since or until:
        after = f" from {since:%-d %B %Y, %H:%M}" if since else ""
        before = f" until {until:%-d %B %Y, %H:%M}" if until else ""
        return f"Runs that ended{after}{before} UTC.{inner}"
    if not given.get("range"):
        return ""
    return f"Runs that ended in the last {asked(request, caller).when.words}.{inner}"


def _words(caller: Caller) -> str:
    """The first line: what is under way, and what waits for a person."""
    under_way = queries.visible_runs(caller).filter(state__in=OPEN, parent_step_id=None).count()
    waiting = queries.open_approvals(caller).count()
    said = readable.plural(under_way, "run") if under_way else "No run"
    words = f"{said} under way"
    if waiting:
        words += f"; {readable.plural(waiting, 'approval')} waiting for a person"
    return words + "."


def _newest(
    request: HttpRequest, caller: Caller, chosen: QuerySet[Run], limit: int, before: UUID | None
) -> tuple[list[Run], Ends]:
    """The newest of ``chosen`` by how they ended; if it is asked when, with ends before retries.

    Those that ended so before a retry are sought apart: one question for either would read all.
    """
    if before:
        chosen = chosen.filter(id__lt=before)
    states, (since, until) = _states(request), _ended_in(request, caller)
    last = chosen.filter(state__in=states) if states else chosen
    if since is None and until is None:
        return list(last[:limit]), {}
    found = {run.pk: run for run in lists.in_time(last, "ended_at", (since, until))[:limit]}
    retried = ended_before(since=since, until=until, states=states)
    if before:
        retried = [one for one in retried if one < before]
    left = limit
    for start in range(0, len(retried), AT_ONCE):
        more = list(chosen.filter(pk__in=retried[start : start + AT_ONCE])[:left])
        found.update((run.pk, run) for run in more)
        if not (left := left - len(more)):
            break
    runs = sorted(found.values(), key=lambda run: run.pk, reverse=True)[:limit]
    return runs, earlier_ends([run.pk for run in runs], since=since, until=until, states=states)


def _filtered(request: HttpRequest, caller: Caller) -> QuerySet[Run]:
    """The runs that match, however and whenever they ended."""
    rows = queries.visible_runs(caller)
    given = request.GET
    if workflow := given.get("workflow"):
        rows = rows.filter(workflow_name=workflow)
    if (priority := given.get("priority")) in queries.PRIORITIES:
        rows = rows.filter(priority=priority)
    if client := _uuid(given.get("client", "")):
        rows = rows.filter(client_id=client)
    if day := _day(given.get("since", "")):
        rows = rows.filter(created_at__gte=day)
    if day := _day(given.get("until", "")):
        rows = rows.filter(created_at__lt=day + timedelta(days=1))
    if text := given.get("q", "").strip():
        found = _uuid(text)
        rows = rows.filter(pk=found) if found else rows.filter(workflow_name__icontains=text)
    if not given.get("nested"):
        rows = rows.filter(parent_step_id=None)
    return rows


def _states(request: HttpRequest) -> list[str]:
    state = request.GET.get("state", "")
    return OPEN if state == "open" else [one for one in state.split(",") if one]


def _ended_in(request: HttpRequest, caller: Caller) -> tuple[datetime | None, datetime | None]:
    """When runs ended that are asked for, as figures count them; a day alone is about creation."""
    since, until = (_moment(request.GET.get(name, "")) for name in ("since", "until"))
    if since is None and until is None and request.GET.get("range"):
        since = asked(request, caller).when.since
    return since, until


def _ends(
    request: HttpRequest, caller: Caller, rows: list[dict[str, Any]], earlier: Ends
) -> list[dict[str, Any]]:
    """A row for each end of a run that is asked for, with what that end was told to have cost."""
    states, (since, until) = _states(request), _ended_in(request, caller)
    if since is None and until is None:
        return rows
    told = told_before([UUID(row["id"]) for row in rows])
    found = []
    for row in rows:
        run_id, at = UUID(row["id"]), row["ended_at"]
        if (
            (not states or row["state"] in states)
            and (since is None or (at is not None and at >= since))
            and (until is None or (at is not None and at < until))
        ):
            cost = max(Decimal(row["cost_usd"]) - told.get(run_id, Decimal(0)), Decimal(0))
            found.append({**row, "cost_usd": f"{cost:f}"})
        found += [
            {**row, "state": end.state, "ended_at": end.ended_at, "seconds": end.seconds,
             "duration_seconds": end.seconds, "cost_usd": end.cost_usd, "is_open": False,
             "was_retried": True, "automated_ratio": None}
            for end in earlier.get(run_id, [])
        ]  # fmt: skip
    return found


def _moment(text: str) -> datetime | None:
    """A time with its offset; a day alone is none."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    if found is None or not timezone.is_aware(found):
        return None
    try:
        return found.astimezone(UTC)  # as it is said
    except OverflowError:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _day(text: str) -> datetime | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def run_rows(runs: list[Run]) -> list[dict[str, Any]]:
    """Runs as rows of a table, with progress and cost."""
    now, rows = timezone.now(), _figures(runs)
    for run, row in zip(runs, rows, strict=True):
        seconds = row["duration_seconds"]
        if seconds is None and run.started_at:
            seconds = (now - run.started_at).total_seconds()
        row |= {
            "title": plan_for(run.version_id).title, "subject": _subject(run.inputs),
            "seconds": seconds, "percent": int(100 * row["progress"]["ratio"]),
            "is_open": run.ended_at is None,
        }  # fmt: skip
    return rows


def _figures(runs: list[Run]) -> list[dict[str, Any]]:
    """What lists and files tell of runs, from one read for all of them."""
    figures = queries.figures_of([run.pk for run in runs])
    rows = []
    for run in runs:
        found = figures.get(run.pk, {})
        rows.append({
            **documents.run_summary(run, figures.get(run.pk)), "client": run.client.name,
            "by_hand": found.get("by_hand", 0), "automated_ratio": found.get("automated_ratio"),
        })  # fmt: skip
    return rows


def _subject(inputs: dict[str, Any]) -> str:
    """A few plain inputs, so that people can tell runs apart."""
    if payloads.is_reference(inputs):
        return ""
    plain = [str(v) for v in inputs.values()
             if isinstance(v, str | int) and not isinstance(v, bool) and len(str(v)) < 60
             and not _uuid(str(v))]  # fmt: skip
    return " · ".join(plain[:3])


@require_GET
@page("runs:read")
def latest(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of the overview about runs: under way, waiting, the latest."""
    visible = queries.visible_runs(caller).filter(parent_step_id=None)
    approvals = queries.open_approvals(caller)
    context = {
        "under_way": visible.filter(state__in=OPEN).count(),
        "approvals": list(approvals.order_by("id")[:5]),
        "approval_count": approvals.count(),
        "failed": visible.filter(
            state="failed", ended_at__gt=timezone.now() - timedelta(hours=24)
        ).count(),
        "rows": run_rows(list(visible.select_related("version")[:8])),
        "dead": queries.dead_letters(caller).count(),
    }
    return render(request, "runs/_latest.html", context)


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """The filtered runs as CSV, newest first, with exact values."""
    return FILE.file(request, caller)


def _read(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[dict[str, Any]]:
    light = _filtered(request, caller).defer("inputs", "outputs", "error")
    runs, earlier = _newest(request, caller, light, limit, UUID(before) if before else None)
    return _ends(request, caller, _figures(runs), earlier)


def _cells(row: dict[str, Any]) -> Sequence[object]:
    moments = [row[k].isoformat() if row[k] else "" for k in
               ("created_at", "started_at", "ended_at")]  # fmt: skip
    ratio = row["automated_ratio"] if row["state"] == "succeeded" else None
    return (row["id"], row["workflow"], row["state"], row["client"], *moments,
            row["duration_seconds"], row["cost_usd"], row["progress"]["done"],
            row["progress"]["total"], ratio, row["started_by"] or "", row["priority"])  # fmt: skip


FILE: Listing[dict[str, Any]] = Listing(
    place="/dashboard/runs", template="runs/runs.html", names=(), columns=COLUMNS, one="run",
    many="runs", read=_read, place_of=lambda row: str(row["id"]), cells=_cells,
)  # fmt: skip
