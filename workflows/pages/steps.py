"""The list of steps behind the figures: what waited, what was tried again, what was done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, FloatField, Func, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from monitoring import lists
from monitoring.asked import asked, filters_of, identifier
from monitoring.lists import Listing
from monitoring.stretch import RANGES
from workflows import rights
from workflows.models import Run, StepRun

# Sorting looks at the newest so many that match: a list is no report.
SORTED_AMONG = 2_000
Found = TypeVar("Found")
# Steps are sought in the newest so many runs, then in more of them: a join of all that ended in a
# month with all their steps takes seconds, to show fifty.
FEW_RUNS, MOST_RUNS = 64, 1_024
NAMES = ("workflow", "client", "step", "queue", "tried", "range", "since", "until", "sort")
SORTS = {"waited": "that waited longest", "slowest": "that took longest"}
SAID = {
    ("tried", "again"): "tried again", ("sort", "waited"): "longest wait first",
    ("sort", "slowest"): "slowest first",
    **{("range", name): f"runs ended in the last {words}"
       for name, (_, _, words) in RANGES.items()},
}  # fmt: skip
COLUMNS = ("id", "run_id", "workflow", "step", "item", "iteration", "state", "queue", "ended_at",
           "attempts", "waited_seconds", "duration_seconds")  # fmt: skip


class Row(NamedTuple):
    """One step: what is told of it, and nothing of what it was given or gave."""

    id: UUID
    run_id: UUID
    workflow: str
    key: str
    item: int
    iteration: int
    state: str
    queue: str
    ended_at: datetime
    attempt: int
    waited: float | None
    took: float
    run_ended_at: datetime


_FIELDS = ("id", "run_id", "run__workflow_name", "key", "item", "iteration", "state", "queue",
           "ended_at", "attempt", "waited", "took", "run__ended_at")  # fmt: skip


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
def all_steps(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/steps``: steps of ended runs, as figures count them, the newest runs first."""
    sort = request.GET.get("sort", "")
    if not sort:
        return LIST.page(request, caller)
    if sort not in SORTS:
        raise InvalidInput("sort", sort, f"one of {', '.join(SORTS)}")
    shown = _sorted(request, caller, sort)
    words = f"The {readable.plural(len(shown), 'step')} {SORTS[sort]}."
    return LIST.shown(request, shown, words=words if shown else LIST.words(shown, False),
                      sorted_words=f"Of the newest {SORTED_AMONG:,} that match.")  # fmt: skip


@require_GET
@page("runs:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/steps.csv``: the newest that match, exact."""
    return LIST.file(request, caller)


def _sorted(request: HttpRequest, caller: Caller, sort: str) -> list[Row]:
    """The first by ``sort`` of the newest that match: of all others only their seconds are read."""
    seconds = {"waited": "waited", "slowest": "took"}[sort]

    def brief(rows: QuerySet[Any], limit: int) -> list[tuple[UUID, float | None]]:
        newest = rows.order_by("-run__ended_at", "-id").values_list("id", seconds)
        return list(newest[:limit])

    found = _sought(request, caller, SORTED_AMONG, "", brief)
    found.sort(key=lambda one: one[1] or 0.0, reverse=True)
    first = [step_id for step_id, _ in found[: lists.SHOWN]]
    rows = {
        row.id: row for row in _newest(_timed(StepRun.objects.filter(pk__in=first)), len(first))
    }
    return [rows[step_id] for step_id in first if step_id in rows]


def _read(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Row]:
    """The steps that match, at most ``limit``: of the runs that ended last, behind ``before``."""
    return _sought(request, caller, limit, before, _newest)


def _sought(
    request: HttpRequest, caller: Caller, limit: int, before: str,
    fetch: Callable[[QuerySet[Any], int], list[Found]],
) -> list[Found]:  # fmt: skip
    given = filters_of(request, NAMES)
    rows, runs = _steps(given), _ended_runs(request, given, caller)
    if before:
        when, place = lists.behind(before)
        runs = runs.filter(ended_at__lte=when)
        rows = rows.filter(Q(run__ended_at__lt=when) | Q(run__ended_at=when, id__lt=place))
    count = 0 if given.get("tried") else FEW_RUNS
    while count:
        some = list(runs.values_list("id", "ended_at")[:count])
        is_all = len(some) < count
        if not is_all:  # others may have ended in the very moment of the last
            last_end = some[-1][1]
            some = [one for one in some if one[1] != last_end]
        found = fetch(_timed(rows.filter(run_id__in=[run for run, _ in some])), limit)
        if is_all or len(found) == limit:
            return found
        # As many as will do, by what these had, and a quarter more.
        wanted = 5 * limit * count // (4 * max(len(found), 1))
        count = min(MOST_RUNS, max(2 * count, wanted)) if count < MOST_RUNS else 0
    return fetch(_timed(rows.filter(run_id__in=runs.order_by().values("id"))), limit)


def _newest(rows: QuerySet[Any], limit: int) -> list[Row]:
    found = rows.order_by("-run__ended_at", "-id").values_list(*_FIELDS)[:limit]
    return [Row(*one) for one in found]


def _timed(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With the seconds that each waited for a worker (None: for none) and took."""
    return rows.annotate(waited=_seconds("started_at", "queued_at"),
                         took=_seconds("ended_at", "started_at"))  # fmt: skip


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
    since, until = lists.times_of(request, caller, given)
    if since is None and until is None:
        since = asked(request, caller).when.since
    return lists.in_time(runs, "ended_at", (since, until)).order_by("-ended_at", "-id")


def _cells(row: Row) -> Sequence[object]:
    return row[: len(COLUMNS)]


LIST: Listing[Row] = Listing(
    place="/dashboard/steps", template="runs/steps.html", names=NAMES, columns=COLUMNS,
    one="step", many="steps", read=_read,
    place_of=lambda row: lists.place(row.run_ended_at, row.id), cells=_cells, said=SAID,
)  # fmt: skip
