"""Lists of rows behind the figures of quality: what people said, and how answers were scored."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agents import queries as agents
from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.spreadsheets import table
from learning import feedback
from learning.models import Feedback, Judge, Score, Subject
from monitoring.asked import asked, chips, filters_of, moment
from monitoring.stretch import RANGES

SHOWN, CSV_ROWS = 50, 10_000
FEEDBACK, SCORES = "/dashboard/feedback", "/dashboard/scores"
NAMES = ("agent", "version", "domain", "client", "subject", "range", "since", "until", "kind",
         "category", "rated", "standing", "name")  # fmt: skip
SAID = {("rated", "1"): "with a rating", ("standing", "1"): "the latest words of each",
        **{("range", name): f"last {words}" for name, (_, _, words) in RANGES.items()}}  # fmt: skip
OF_BOTH = ("id", "created_at", "subject_kind", "subject_id", "agent_slug", "client_id", "source")
COLUMNS = {
    FEEDBACK: (*OF_BOTH, "kind", "rating", "category", "text"),
    SCORES: (*OF_BOTH, "name", "value", "source_version", "reason"),
}
# Where what was spoken of has its page.
PAGES = {"invocation": "/dashboard/invocations/{}", "run": "/dashboard/runs/{}"}


@require_GET
@page("learning:read")
def said(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/feedback``: all that was said, the newest first; earlier words count too."""
    return _listed(request, FEEDBACK, _said(request, caller))


@require_GET
@page("learning:read")
def said_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/feedback.csv``: the newest ``CSV_ROWS`` that match, exact."""
    return _file(FEEDBACK, _said(request, caller))


@require_GET
@page("learning:read")
def scores(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/scores``: scores that figures and objectives read, the newest first."""
    return _listed(request, SCORES, _scored(request, caller))


@require_GET
@page("learning:read")
def scores_csv(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/scores.csv``: the newest ``CSV_ROWS`` that match, exact."""
    return _file(SCORES, _scored(request, caller))


def _said(request: HttpRequest, caller: Caller) -> QuerySet[Any]:
    rows: QuerySet[Any] = feedback.visible(caller)
    given = filters_of(request, NAMES)
    if kind := given.get("kind"):
        if kind not in Feedback.Kind.values:
            raise InvalidInput("kind", kind, f"one of {', '.join(Feedback.Kind.values)}")
        rows = rows.filter(kind=kind)
    if given.get("rated"):
        rows = rows.exclude(rating=None)
    if category := given.get("category"):
        rows = feedback.of_category(rows, category)
    return _narrowed(request, caller, rows)


def _scored(request: HttpRequest, caller: Caller) -> QuerySet[Any]:
    """Those of judges only where the judge was measured and admitted, as figures take them."""
    admitted = Q()
    for name, version in Judge.objects.filter(state=Judge.State.ADMITTED).values_list(
        "name", "version"
    ):
        admitted |= Q(name=name, source_version=version)
    counts = ~Q(source=Score.Source.JUDGE) | admitted if admitted else ~Q(source="judge")
    rows: QuerySet[Any] = feedback.visible_scores(caller).filter(counts)
    name = filters_of(request, NAMES).get("name", feedback.ACCURACY)
    rows = rows.filter(name=name)
    if name == feedback.ACCURACY:
        rows = rows.filter(value__range=(0, 1))
    return _narrowed(request, caller, rows)


def _narrowed(request: HttpRequest, caller: Caller, rows: QuerySet[Any]) -> QuerySet[Any]:
    given = filters_of(request, NAMES)
    if given.get("standing"):
        rows = rows.filter(superseded_at=None)
    if agent := given.get("agent"):
        rows = rows.filter(agent_slug=agent)
    if version := given.get("version"):
        ids = agents.versions_numbered(given.get("agent", ""), version)
        rows = rows.filter(version_id__in=ids)
    if subject := given.get("subject"):
        if subject not in Subject.values:
            raise InvalidInput("subject", subject, f"one of {', '.join(Subject.values)}")
        rows = rows.filter(subject_kind=subject)
    if domain := given.get("domain"):
        rows = rows.filter(agent_slug__in=agents.slugs_of(domain))
    if client := given.get("client"):
        try:
            rows = rows.filter(client_id=UUID(client))
        except ValueError:
            raise InvalidInput("client", client, "a client's id") from None
    since, until = given.get("since"), given.get("until")
    if since:
        rows = rows.filter(created_at__gte=moment("since", since))
    elif given.get("range"):
        rows = rows.filter(created_at__gte=asked(request, caller).when.since)
    if until:
        rows = rows.filter(created_at__lt=moment("until", until))
    return rows.order_by("-id")


def _listed(request: HttpRequest, place: str, rows: QuerySet[Any]) -> HttpResponse:
    if before := request.GET.get("before"):
        try:
            rows = rows.filter(id__lt=UUID(before))
        except ValueError:
            raise InvalidInput("before", before, "the id of a row") from None
    given = filters_of(request, NAMES)
    found = list(rows[: SHOWN + 1])
    shown = found[:SHOWN]
    more = len(found) > SHOWN
    context = {
        "rows": [{"row": row, "href": PAGES.get(row.subject_kind, "").format(row.subject_id)}
                 for row in shown],
        "is_scores": place == SCORES, "place": place,
        "title": "Scores" if place == SCORES else "Feedback",
        "words": _words(place, len(shown), more),
        "filters": chips(given, SAID),
        "csv": f"{place}.csv?{urlencode(given)}",
        "older": f"?{urlencode({**given, 'before': str(shown[-1].pk)})}" if more else "",
    }  # fmt: skip
    return render(request, "learning/listed.html", context)


def _words(place: str, count: int, more: bool) -> str:
    what = ("score", "scores") if place == SCORES else ("piece of feedback", "pieces of feedback")
    if not count:
        return "Nothing matches."
    if more:
        return f"The newest {count} {what[1]} that match."
    return f"{readable.plural(count, *what)} match{'es' if count == 1 else ''}."


def _file(place: str, rows: QuerySet[Any]) -> HttpResponse:
    found = rows.values_list(*COLUMNS[place])[:CSV_ROWS].iterator()
    return table(COLUMNS[place], found, f"{place.rpartition('/')[2]}.csv")
