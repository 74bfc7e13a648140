"""The list of steps behind the figures: what waited, what was tried again, what was done again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, FloatField, Func, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.spreadsheets import table
from monitoring.asked import asked, moment
from monitoring.stretch import RANGES
from workflows import rights
from workflows.models import StepRun

SHOWN, CSV_ROWS = 50, 10_000
# Sorting looks at the newest so many that match: a list is no report.
SORTED_AMONG = 5_000
PLACE = "/dashboard/steps"
NAMES = ("workflow", "client", "step", "queue", "tried", "range", "since", "until", "sort")
SORTS = {"waited": "-waited", "slowest": "-took"}
SAID = {
    ("tried", "again"): "tried again", ("sort", "waited"): "longest wait first",
    ("sort", "slowest"): "slowest first",
    **{("range", name): f"runs ended in the last {words}"
       for name, (_, _, words) in RANGES.items()},
}  # fmt: skip
COLUMNS = ("id", "run_id", "workflow", "step", "item", "iteration", "state", "queue", "ended_at",
           "attempts", "waited_seconds", "duration_seconds")  # fmt: skip


def _seconds(later: str, earlier: str) -> Func:
    """Never negative: a step that is taken on by its worker is queued as it starts."""
    between = ExpressionWrapper(F(later) - F(earlier), output_field=DurationField())
    return Func(
        between, output_field=FloatField(),
        template="CASE WHEN (%(expressions)s) IS NOT NULL "
        "THEN greatest(0, extract(epoch FROM %(expressions)s)::float8) END",
    )  # fmt: skip


@require_GET
@page("runs:read")
def all_steps(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/steps``: steps of ended runs, as figures count them, the newest runs first."""
    rows = _chosen(request, caller)
    sort, older = request.GET.get("sort", ""), ""
    if sort:
        if sort not in SORTS:
            raise InvalidInput("sort", sort, f"one of {', '.join(SORTS)}")
        newest = [row["id"] for row in _newest_first(rows).values("id")[:SORTED_AMONG]]
        measured = _measured(StepRun.objects.filter(id__in=newest).select_related("run"))
        found = list(measured.order_by(F(SORTS[sort][1:]).desc(nulls_last=True), "id")[:SHOWN])
    else:
        if before := request.GET.get("before"):
            rows = _behind(rows, before)
        found = list(_measured(_newest_first(rows))[: SHOWN + 1])
        if len(found) > SHOWN:
            found = found[:SHOWN]
            older = _address(PLACE, _given(request), before=_place_of(found[-1]))
    given = _given(request)
    context = {
        "rows": found, "older": older, "words": _words(found, sort, bool(older)),
        "sorted_words": f"Of the newest {SORTED_AMONG:,} that match." if sort else "",
        "filters": [
            (_address("", {k: v for k, v in given.items() if k != name}),
             SAID.get((name, value)) or f"{name}: {value}")
            for name, value in given.items()
        ],
        "csv": _address(f"{PLACE}.csv", given),
    }  # fmt: skip
    return render(request, "runs/steps.html", context)


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/steps.csv``: the newest ``CSV_ROWS`` that match, exact."""
    found = _measured(_newest_first(_chosen(request, caller)))[:CSV_ROWS]
    rows = (
        (one.pk, one.run_id, one.run.workflow_name, one.key, one.item, one.iteration, one.state,
         one.queue, one.ended_at, one.attempt, one.waited, one.took)
        for one in found.iterator()
    )  # fmt: skip
    return table(COLUMNS, rows, "steps.csv")


def _chosen(request: HttpRequest, caller: Caller) -> QuerySet[Any]:
    """Steps that somebody did, of runs that ended in the time: it is then that they count."""
    given = _given(request)
    rows: QuerySet[Any] = rights.visible(caller, StepRun.objects.all(), "run__")
    rows = rows.filter(started_at__isnull=False, ended_at__isnull=False)
    for name, field in (("workflow", "run__workflow_name"), ("step", "key"), ("queue", "queue")):
        if value := given.get(name):
            rows = rows.filter(**{field: value})
    if client := given.get("client"):
        rows = rows.filter(run__client_id=_uuid("client", client))
    if tried := given.get("tried"):
        if tried != "again":
            raise InvalidInput("tried", tried, "again")
        rows = rows.filter(attempt__gt=1)
    since: datetime | None = None
    if given.get("since"):
        since = moment("since", given["since"])
    elif not given.get("until"):
        since = asked(request, caller).when.since
    if since is not None:
        rows = rows.filter(run__ended_at__gte=since)
    if until := given.get("until"):
        rows = rows.filter(run__ended_at__lt=moment("until", until))
    return rows


def _newest_first(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.select_related("run").order_by("-run__ended_at", "-id")


def _measured(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With the seconds that each waited for a worker (None: for none) and took."""
    return rows.annotate(waited=_seconds("started_at", "queued_at"),
                         took=_seconds("ended_at", "started_at"))  # fmt: skip


def _place_of(row: Any) -> str:
    return f"{row.run.ended_at.isoformat()}|{row.pk}"


def _behind(rows: QuerySet[Any], before: str) -> QuerySet[Any]:
    at, _, last = before.rpartition("|")
    when, place = moment("before", at), _uuid("before", last)
    behind = Q(run__ended_at__lt=when) | Q(run__ended_at=when, id__lt=place)
    return rows.filter(behind, run__ended_at__lte=when)


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(name, text, "must be an id") from None


def _given(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET[name] for name in NAMES if request.GET.get(name)}


def _address(path: str, given: dict[str, str], **more: str) -> str:
    return f"{path}?{urlencode({**given, **more})}"


def _words(found: list[Any], sort: str, more: bool) -> str:
    if not found:
        return "No step matches."
    if sort:
        kind = {"waited": "that waited longest", "slowest": "that took longest"}[sort]
        return f"The {readable.plural(len(found), 'step')} {kind}."
    if more:
        return f"The newest {len(found)} steps that match."
    return f"{readable.plural(len(found), 'step')} match{'es' if len(found) == 1 else ''}."
