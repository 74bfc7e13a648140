"""Lists of rows behind the figures of quality: what people said, and how answers were scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from agents import queries as agents
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from learning import feedback
from learning.models import Feedback, Judge, Score, Subject
from monitoring import lists
from monitoring.addresses import FEEDBACK, SCORES
from monitoring.asked import filters_of, identifier
from monitoring.lists import Listing

NAMES = ("agent", "version", "domain", "client", "subject", "range", "since", "until", "kind",
         "category", "rated", "standing", "name")  # fmt: skip
SAID = {("rated", "1"): "with a rating", ("standing", "1"): "the latest words of each"}
OF_BOTH = ("id", "created_at", "subject_kind", "subject_id", "agent_slug", "client_id", "source")
COLUMNS = {
    FEEDBACK: (*OF_BOTH, "kind", "rating", "category", "text"),
    SCORES: (*OF_BOTH, "name", "value", "source_version", "reason"),
}
# Where what was spoken of has its page.
PAGES = {"invocation": "/dashboard/invocations/{}", "run": "/dashboard/runs/{}"}


@require_GET
@page("learning:read")
def said(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/feedback``: all that was said, the newest first; earlier words count too."""
    return OF_FEEDBACK.page(request, caller, is_scores=False, title="Feedback")


@require_GET
@page("learning:read")
def said_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/feedback.csv``: the newest that match, exact."""
    return OF_FEEDBACK.file(request, caller)


@require_GET
@page("learning:read")
def scores(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/scores``: scores that figures and objectives read, the newest first."""
    return OF_SCORES.page(request, caller, is_scores=True, title="Scores")


@require_GET
@page("learning:read")
def scores_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/scores.csv``: the newest that match, exact."""
    return OF_SCORES.file(request, caller)


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
        rows = rows.filter(client_id=identifier("client", client))
    return lists.in_time(rows, "created_at", lists.times_of(request, caller, given))


def _page(rows: QuerySet[Any], limit: int, before: str) -> list[Any]:
    """The rows behind a place, the newest first, each with the page of what it speaks of."""
    if before:
        rows = rows.filter(id__lt=identifier("before", before))
    found = list(rows.order_by("-id")[:limit])
    for row in found:
        row.href = PAGES.get(row.subject_kind, "").format(row.subject_id)
    return found


def _read_said(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Any]:
    return _page(_said(request, caller), limit, before)


def _read_scored(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Any]:
    return _page(_scored(request, caller), limit, before)


def _cells_said(row: Any) -> Sequence[object]:
    return [getattr(row, name) for name in COLUMNS[FEEDBACK]]


def _cells_scored(row: Any) -> Sequence[object]:
    return [getattr(row, name) for name in COLUMNS[SCORES]]


def _place_of(row: Any) -> str:
    return str(row.pk)


OF_FEEDBACK: Listing[Any] = Listing(
    place=FEEDBACK, template="learning/listed.html", names=NAMES, columns=COLUMNS[FEEDBACK],
    one="piece of feedback", many="pieces of feedback", read=_read_said, place_of=_place_of,
    cells=_cells_said, said=SAID,
)  # fmt: skip
OF_SCORES: Listing[Any] = Listing(
    place=SCORES, template="learning/listed.html", names=NAMES, columns=COLUMNS[SCORES],
    one="score", many="scores", read=_read_scored, place_of=_place_of, cells=_cells_scored,
    said=SAID,
)  # fmt: skip
