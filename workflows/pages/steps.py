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
from monitoring.asked import asked, chips, filters_of, identifier, moment
from monitoring.stretch import RANGES
from workflows import rights
from workflows.models import Run, StepRun

SHOWN, CSV_ROWS = 50, 10_000
# Sorting looks at the newest so many that match: a list is no report.
SORTED_AMONG = 2_000
# Steps are sought in the newest so many runs, then in more of them: a join of all that ended in a
# month with all their steps takes seconds, to show fifty.
RUNS_AT_ONCE = (64, 1_024)
PLACE = "/dashboard/steps"
NAMES = ("workflow", "client", "step", "queue", "tried", "range", "since", "until", "sort")
SORTS = {"waited": "waited", "slowest": "took"}
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
    sort, older = request.GET.get("sort", ""), ""
    if sort:
        if sort not in SORTS:
            raise InvalidInput("sort", sort, f"one of {', '.join(SORTS)}")
        newest = _newest(request, caller, SORTED_AMONG)
        measured = _measured(StepRun.objects.filter(id__in=newest))
        first = F(SORTS[sort]).desc(nulls_last=True)
        found = _rows(list(measured.order_by(first, "id").values_list("id", flat=True)[:SHOWN]))
    else:
        found = _rows(_newest(request, caller, SHOWN + 1, request.GET.get("before", "")))
        if len(found) > SHOWN:
            found = found[:SHOWN]
            older = _address(PLACE, filters_of(request, NAMES), before=_place_of(found[-1]))
    given = filters_of(request, NAMES)
    context = {
        "rows": found, "older": older, "words": _words(found, sort, bool(older)),
        "sorted_words": f"Of the newest {SORTED_AMONG:,} that match." if sort else "",
        "filters": chips(given, SAID),
        "csv": _address(f"{PLACE}.csv", given),
    }  # fmt: skip
    return render(request, "runs/steps.html", context)


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/steps.csv``: the newest ``CSV_ROWS`` that match, exact."""
    found = _rows(_newest(request, caller, CSV_ROWS))
    rows = (
        (one.pk, one.run_id, one.run.workflow_name, one.key, one.item, one.iteration, one.state,
         one.queue, one.ended_at, one.attempt, one.waited, one.took)
        for one in found
    )  # fmt: skip
    return table(COLUMNS, rows, "steps.csv")


def _newest(request: HttpRequest, caller: Caller, most: int, before: str = "") -> list[UUID]:
    """The steps that match, at most ``most``: of the runs that ended last, behind ``before``."""
    given = filters_of(request, NAMES)
    rows, runs = _steps(given), _ended_runs(request, given, caller)
    if before:
        at, _, last = before.rpartition("|")
        when, place = moment("before", at), identifier("before", last)
        runs = runs.filter(ended_at__lte=when)
        rows = rows.filter(Q(run__ended_at__lt=when) | Q(run__ended_at=when, id__lt=place))
    order = ("-run__ended_at", "-id")
    for count in () if given.get("tried") else RUNS_AT_ONCE:
        some = list(runs.values_list("id", "ended_at")[:count])
        is_all = len(some) < count
        if not is_all:  # others may have ended in the very moment of the last
            last_end = some[-1][1]
            some = [one for one in some if one[1] != last_end]
        of = rows.filter(run_id__in=[run for run, _ in some])
        found = list(of.order_by(*order).values_list("id", flat=True)[:most])
        if is_all or len(found) == most:
            return found
    of_all = rows.filter(run_id__in=runs.order_by().values("id"))
    return list(of_all.order_by(*order).values_list("id", flat=True)[:most])


def _steps(given: dict[str, str]) -> QuerySet[Any]:
    """Steps that somebody did."""
    rows: QuerySet[Any] = StepRun.objects.filter(started_at__isnull=False, ended_at__isnull=False)
    if step := given.get("step"):
        rows = rows.filter(key=step)
    if queue := given.get("queue"):
        rows = rows.filter(queue=queue)
    if tried := given.get("tried"):
        if tried != "again":
            raise InvalidInput("tried", tried, "again")
        rows = rows.filter(attempt__gt=1)
    return rows


def _ended_runs(request: HttpRequest, given: dict[str, str], caller: Caller) -> QuerySet[Run]:
    """Runs that ended in the time, the latest first: it is then that their steps count."""
    runs = rights.visible(caller, Run.objects.filter(ended_at__isnull=False))
    if workflow := given.get("workflow"):
        runs = runs.filter(workflow_name=workflow)
    if client := given.get("client"):
        runs = runs.filter(client_id=identifier("client", client))
    since: datetime | None = None
    if given.get("since"):
        since = moment("since", given["since"])
    elif not given.get("until"):
        since = asked(request, caller).when.since
    if since is not None:
        runs = runs.filter(ended_at__gte=since)
    if until := given.get("until"):
        runs = runs.filter(ended_at__lt=moment("until", until))
    return runs.order_by("-ended_at", "-id")


def _rows(ids: list[UUID]) -> list[Any]:
    """These steps with their runs, in this order."""
    found = {one.pk: one for one in _measured(StepRun.objects.filter(id__in=ids))
             .select_related("run").defer("input", "output", "value", "error")}  # fmt: skip
    return [found[one] for one in ids if one in found]


def _measured(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With the seconds that each waited for a worker (None: for none) and took."""
    return rows.annotate(waited=_seconds("started_at", "queued_at"),
                         took=_seconds("ended_at", "started_at"))  # fmt: skip


def _place_of(row: Any) -> str:
    return f"{row.run.ended_at.isoformat()}|{row.pk}"


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
