"""The list of runs: filters in the address, pages by cursor, the same as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.access.models import Client
from config.pages import page
from config.spreadsheets import safe
from monitoring.asked import asked
from workflows import documents, payloads, queries
from workflows.domain.transitions import FINAL_RUN_STATES, RunState
from workflows.models import Run, Workflow
from workflows.plans import plan_for

PAGE = 50
CSV_ROWS = 10_000
CSV_BATCH = 500
OPEN = [state.value for state in RunState if state not in FINAL_RUN_STATES]


@require_GET
@page("runs:read")
def all_runs(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/runs``; ``?state= workflow= client= since= until= range= q= before=``.

    A ``range`` is about when runs ended, as figures are: it leaves out what is under way.
    """
    chosen = _filtered(request, caller)
    if cursor := _uuid(request.GET.get("before", "")):
        chosen = chosen.filter(id__lt=cursor)
    rows = list(chosen[: PAGE + 1])
    shown = rows[:PAGE]
    clients = caller.only_visible(Client.objects.all(), "id").order_by("name")
    context = {
        "rows": run_rows(shown),
        "next": str(shown[-1].pk) if len(rows) > PAGE else "",
        "is_filtered": any(v for k, v in request.GET.items() if k != "before"),
        "states": [state.value for state in RunState],
        "workflows": Workflow.objects.values_list("name", "title"),
        "clients": clients[:200],
        "words": _ended_words(request, caller) or _words(caller),
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


def _filtered(request: HttpRequest, caller: Caller) -> QuerySet[Run]:
    rows = queries.visible_runs(caller).select_related("version")
    given = request.GET
    if state := given.get("state"):
        rows = rows.filter(state__in=OPEN if state == "open" else state.split(","))
    if workflow := given.get("workflow"):
        rows = rows.filter(workflow_name=workflow)
    if client := _uuid(given.get("client", "")):
        rows = rows.filter(client_id=client)
    rows = _in_time(request, caller, rows)
    if text := given.get("q", "").strip():
        found = _uuid(text)
        rows = rows.filter(pk=found) if found else rows.filter(workflow_name__icontains=text)
    if not given.get("nested"):
        rows = rows.filter(parent_step_id=None)
    return rows


def _in_time(request: HttpRequest, caller: Caller, rows: QuerySet[Run]) -> QuerySet[Run]:
    """By the day on which they were made, or, as figures count them, by when they ended."""
    since, until = request.GET.get("since", ""), request.GET.get("until", "")
    if day := _day(since):
        rows = rows.filter(created_at__gte=day)
    if day := _day(until):
        rows = rows.filter(created_at__lt=day + timedelta(days=1))
    ended_since, ended_until = _moment(since), _moment(until)
    if ended_since is None and ended_until is None and request.GET.get("range"):
        ended_since = asked(request, caller).when.since
    if ended_since is not None:
        rows = rows.filter(ended_at__gte=ended_since)
    return rows if ended_until is None else rows.filter(ended_at__lt=ended_until)


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
    figures = queries.figures_of([run.pk for run in runs])
    now = timezone.now()
    rows = []
    for run in runs:
        summary = documents.run_summary(run, figures.get(run.pk))
        seconds = summary["duration_seconds"]
        if seconds is None and run.started_at:
            seconds = (now - run.started_at).total_seconds()
        progress = summary["progress"]
        rows.append(
            {
                **summary,
                "title": plan_for(run.version_id).title,
                "client": run.client.name,
                "subject": _subject(run.inputs),
                "seconds": seconds,
                "percent": int(100 * progress["ratio"]),
                "is_open": run.ended_at is None,
                "by_hand": figures.get(run.pk, {}).get("by_hand", 0),
            }
        )  # fmt: skip
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
    }
    return render(request, "runs/_latest.html", context)


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The filtered runs as CSV, newest first, at most ``CSV_ROWS``, with exact values."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="runs.csv"'
    writer = csv.writer(response)
    writer.writerow(
        ["id", "workflow", "state", "client", "created_at", "started_at", "ended_at",
         "duration_seconds", "cost_usd", "steps_done", "steps", "automated_ratio"]
    )  # fmt: skip
    rows = list(_filtered(request, caller)[:CSV_ROWS])
    for start in range(0, len(rows), CSV_BATCH):
        writer.writerows(_csv_lines(rows[start : start + CSV_BATCH]))
    return response


def _csv_lines(runs: list[Run]) -> Iterator[list[Any]]:
    figures = queries.figures_of([run.pk for run in runs])
    for run in runs:
        one = documents.run_summary(run, figures.get(run.pk))
        moments = [one[k].isoformat() if one[k] else "" for k in
                   ("created_at", "started_at", "ended_at")]  # fmt: skip
        yield [
            one["id"], one["workflow"], one["state"], safe(run.client.name), *moments,
            one["duration_seconds"] if one["duration_seconds"] is not None else "",
            one["cost_usd"], one["progress"]["done"], one["progress"]["total"],
            figures.get(run.pk, {}).get("automated_ratio") if run.state == "succeeded" else None,
        ]  # fmt: skip
