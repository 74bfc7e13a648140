"""Lists of rows behind the numbers: calls by whatever a number was counted by, and talks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agents import conversations, queries
from agents.models import Agent, Invocation
from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from config.partitions import first_id
from monitoring.asked import asked

SHOWN = 50
# Sorting looks at the newest so many that match: a list is no report.
SORTED_AMONG = 5_000
# An id is made a little before its call starts.
SLACK = timedelta(minutes=2)
# Filter of the address → field of the row.
FIELDS = {"agent": "agent_slug", "state": "state", "endpoint": "endpoint", "model": "model",
          "code": "error_code"}  # fmt: skip
IDS = {"client": "client_id", "user": "user_id"}
NAMES = (*FIELDS, *IDS, "version", "domain", "cached", "since", "until", "range", "sort")
SORTS = {"slowest": "-duration_seconds", "dearest": "-cost_usd"}


@require_GET
@page("agents:read")
def invocations(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/invocations``: the newest that match, or the slowest or dearest of them."""
    rows = _chosen(request, caller.only_visible(Invocation.objects.all()))
    sort = request.GET.get("sort", "")
    older = ""
    if sort:
        if sort not in SORTS:
            raise InvalidInput("sort", sort, f"one of {', '.join(SORTS)}")
        newest = rows.order_by("-id").values("id")[:SORTED_AMONG]
        found = list(
            Invocation.objects.filter(id__in=[row["id"] for row in newest])
            .order_by(SORTS[sort]).values(*queries.BRIEF)[:SHOWN]
        )  # fmt: skip
    else:
        if before := request.GET.get("before"):
            rows = rows.filter(id__lt=_uuid("before", before))
        found = list(rows.order_by("-id").values(*queries.BRIEF)[: SHOWN + 1])
        if len(found) > SHOWN:
            found = found[:SHOWN]
            older = "?" + urlencode({**_given(request), "before": str(found[-1]["id"])})
    context = {
        "invocations": found, "older": older, "filters": _filters(request),
        "words": _words(found, sort, bool(older)),
        "sorted_words": f"Of the newest {SORTED_AMONG:,} that match." if sort else "",
    }  # fmt: skip
    return render(request, "agents/invocations.html", context)


def _words(found: list[dict[str, Any]], sort: str, more: bool) -> str:
    if not found:
        return "Nothing matches."
    kind = {"slowest": "slowest", "dearest": "dearest"}.get(sort, "newest")
    if not more and not sort:
        return f"{readable.plural(len(found), 'call')} match{'es' if len(found) == 1 else ''}."
    return f"The {kind} {len(found)} calls that match."


def _given(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET[name] for name in NAMES if request.GET.get(name)}


def _filters(request: HttpRequest) -> list[tuple[str, str, str]]:
    """Name, value, and the address without it."""
    given = _given(request)
    return [
        (name, value, "?" + urlencode({k: v for k, v in given.items() if k != name}))
        for name, value in given.items()
    ]


def _chosen(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    given = _given(request)
    for name, field in FIELDS.items():
        if value := given.get(name):
            rows = rows.filter(**{field: value})
    if agent := given.get("agent"):  # the index is on the id
        rows = rows.filter(agent_id__in=Agent.objects.filter(slug=agent).values("id"))
    for name, field in IDS.items():
        if value := given.get(name):
            rows = rows.filter(**{field: _uuid(name, value)})
    if domain := given.get("domain"):
        rows = rows.filter(agent_id__in=list(
            Agent.objects.filter(domain=domain).values_list("id", flat=True)
        ))  # fmt: skip
    if version := given.get("version"):
        if not version.isdecimal():
            raise InvalidInput("version", version, "a version's number")
        rows = rows.filter(version_number=int(version[:9]))
    if given.get("cached"):
        rows = rows.exclude(cached="")
    return _in_time(given, rows, request)


def _in_time(given: dict[str, str], rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    since, until = given.get("since"), given.get("until")
    if since or until:
        if since:
            at = _time("since", since)
            rows = rows.filter(id__gte=first_id(at - SLACK), started_at__gte=at)
        if until:
            at = _time("until", until)
            rows = rows.filter(id__lt=first_id(at + SLACK), started_at__lt=at)
    elif given.get("range"):
        when = asked(request, request.caller).when  # type: ignore[attr-defined]
        rows = rows.filter(id__gte=first_id(when.since - SLACK), started_at__gte=when.since)
    return rows


def _time(name: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(name, text, "an RFC 3339 time, such as 2026-11-20T12:00:00Z") from None
    if at.tzinfo is None:
        raise InvalidInput(name, text, "with its offset from UTC, such as a final Z")
    return at


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(name, text, "must be an id") from None


@require_GET
@page("agents:read")
def talks(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of the page of conversations with the latest of them."""
    rows = conversations.visible(caller)
    if client := request.GET.get("client"):
        rows = rows.filter(client_id=_uuid("client", client))
    latest = rows.order_by("-last_turn_at").annotate(turn_count=Count("turns"))[:25]
    return render(request, "agents/_talks.html", {"talks": list(latest)})
