"""Lists of rows behind the numbers: calls by whatever a number was counted by, and talks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, DateTimeField, F, Func, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agents import conversations, measuring, queries_calls
from agents.models import Agent, Invocation, ModelCall, Turn
from agents.models.records import CallState
from config import readable
from config.access.callers import Caller
from config.access.hiding import of_visible_runs
from config.errors import InvalidInput
from config.pages import page
from config.partitions import first_id
from monitoring import lists, traces
from monitoring.addresses import CALLS
from monitoring.asked import asked, filters_of, identifier, moment
from monitoring.lists import Listing

# Sorting looks at the newest so many that match: a list is no report.
SORTED_AMONG = 5_000
SHOWN_TALKS = 100
# What a figure counts → how it is said, when that happened, and which of them it counts.
TALKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "begun": ("began", "created_at", {}),
    "asked": ("had questions", "last_turn_at", {}),
    "handed_over": ("were handed over", "handed_over_at", {}),
    "ended": ("fell silent", "last_turn_at", {"measured_at__isnull": False}),
    "abandoned": ("were abandoned", "last_turn_at", {"is_abandoned": True}),
    "rated": ("fell silent, with a quality", "last_turn_at",
              {"measured_at__isnull": False, "quality_ratio__isnull": False}),
}  # fmt: skip
# An id is made when its call starts, and a call is counted when it ends: none lasts longer.
SLACK = timedelta(minutes=15)
# And it is made a little before.
BEFORE = timedelta(minutes=2)
# Filter of the address → field of the row.
FIELDS = {"state": "state__in", "endpoint": "endpoint", "model": "model", "code": "error_code"}
IDS = {"client": "client_id", "user": "user_id", "key": "key_id", "split": "split_id"}
# What an agent is → the calls of all agents that are it.
OF_AGENTS = ("domain", "audience")
# Filter → field that is empty or not, for ``1`` and ``0``.
FILLED: dict[str, dict[str, Any]] = {
    "cached": {"cached": ""},
    "streamed": {"first_token_seconds": None},
}
NAMES = ("agent", *FIELDS, *IDS, *FILLED, "version", *OF_AGENTS, "replays", "blamed", "since",
         "until", "range", "sort")  # fmt: skip
# Filters that no reader would guess.
SAID = {
    ("replays", "no"): "without replays of learning",
    ("replays", "only"): "replays of learning",
    ("cached", "1"): "from the cache",
    ("cached", "0"): "not from the cache",
    ("streamed", "1"): "streamed",
    ("streamed", "0"): "not streamed",
    ("blamed", "1"): "blamed on the endpoint",
    ("sort", "slowest"): "slowest first",
    ("sort", "dearest"): "dearest first",
}
# What replays of learning are stored under; they cost money and are no traffic.
REPLAYS = "replay/"
COLUMNS = ("id", "started_at", "duration_seconds", "agent_slug", "version_number", "state",
           "error_code", "model", "endpoint", "cached", "client_id", "user_id", "run_id",
           "first_token_seconds", "waited_seconds", "input_tokens", "cached_tokens",
           "output_tokens", "reasoning_tokens", "cost_usd", "saved_usd")  # fmt: skip
READ = (*dict.fromkeys((*queries_calls.BRIEF, *COLUMNS)),)
SORTS = {"slowest": "-duration_seconds", "dearest": "-cost_usd"}


@require_GET
@page("agents:read")
def invocations(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/invocations``: the newest that match, or the slowest or dearest of them."""
    sort = request.GET.get("sort", "")
    beside = traces.beside(caller, filters_of(request, NAMES))
    if not sort:
        return LIST.page(request, caller, beside=beside)
    if sort not in SORTS:
        raise InvalidInput("sort", sort, f"one of {', '.join(SORTS)}")
    newest = _chosen(request, caller).order_by("-id").values("id")[:SORTED_AMONG]
    of_them = Invocation.objects.filter(id__in=[row["id"] for row in newest])
    found = list(of_them.order_by(SORTS[sort]).values(*READ)[: lists.SHOWN])
    words = f"The {sort} {readable.plural(len(found), 'call')} that match."
    return LIST.shown(request, found, words=words if found else LIST.words(found, False),
                      sorted_words=f"Of the newest {SORTED_AMONG:,} that match.",
                      beside=beside)  # fmt: skip


@require_GET
@page("agents:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/invocations.csv``: the newest that match, exact."""
    return LIST.file(request, caller)


def _read(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Mapping[str, Any]]:
    rows = _chosen(request, caller)
    if before:
        rows = rows.filter(id__lt=identifier("before", before))
    return list(rows.order_by("-id").values(*READ)[:limit])


def _cells(row: Mapping[str, Any]) -> Sequence[object]:
    return [row[name] for name in COLUMNS]


LIST: Listing[Mapping[str, Any]] = Listing(
    place=CALLS, template="agents/invocations.html", names=NAMES, columns=COLUMNS, one="call",
    many="calls", read=_read, place_of=lambda row: str(row["id"]), cells=_cells, said=SAID,
)  # fmt: skip


def _chosen(request: HttpRequest, caller: Caller) -> QuerySet[Any]:
    rows: QuerySet[Any] = of_visible_runs(caller, Invocation.objects.all())
    given = filters_of(request, NAMES)
    for name, field in FIELDS.items():
        if value := given.get(name):
            rows = rows.filter(**{field: value.split(",") if name == "state" else value})
    if agent := given.get("agent"):
        rows = queries_calls.of_agent(rows, agent)
    for name, field in IDS.items():
        if value := given.get(name):
            rows = rows.filter(**{field: identifier(name, value)})
    for name in OF_AGENTS:
        if value := given.get(name):
            rows = rows.filter(agent_id__in=list(
                Agent.objects.filter(**{name: value}).values_list("id", flat=True)
            ))  # fmt: skip
    if version := given.get("version"):
        if not version.isdecimal():
            raise InvalidInput("version", version, "a version's number")
        rows = rows.filter(version_number=int(version[:9]))
    for name, empty in FILLED.items():
        if value := given.get(name):
            if value not in ("0", "1"):
                raise InvalidInput(name, value, "1 or 0")
            rows = rows.exclude(**empty) if value == "1" else rows.filter(**empty)
    if replays := given.get("replays"):
        if replays not in ("no", "only"):
            raise InvalidInput("replays", replays, "no or only")
        of = {"effect_id__startswith": REPLAYS}
        rows = rows.filter(**of) if replays == "only" else rows.exclude(**of)
    if given.get("blamed"):
        rows = _blamed(rows)
    return _in_time(rows, lists.times_of(request, caller, given))


def _blamed(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Without calls that failed, but not by their endpoint's fault, as ``measuring`` tells them.

    These failed after its last answer (a tool refused the arguments, a guardrail blocked), unless
    the answer itself could not be used, or when the reader of it hung up.
    """
    tries = ModelCall.objects.filter(invocation_id=OuterRef("id")).order_by("-number")
    rows = rows.annotate(
        last_try=Coalesce(Subquery(tries.values("state")[:1]), Value("")),
        last_error=Coalesce(Subquery(tries.values("error_code")[:1]), Value("")),
    )
    did_its_part = Q(last_try=CallState.SUCCEEDED) | Q(last_error=measuring.LET_GO)
    answered = did_its_part & ~Q(error_code=measuring.BAD_ANSWER)
    return rows.exclude(answered, state=CallState.FAILED)


def _in_time(rows: QuerySet[Any], times: tuple[datetime | None, datetime | None]) -> QuerySet[Any]:
    """Those that ended in the time: it is then that a call is counted."""
    since, until = times
    if since is not None:
        rows = rows.filter(id__gte=first_id(since - SLACK))
    if until is not None:
        rows = rows.filter(id__lt=first_id(until + BEFORE))
    return (
        rows
        if times == (None, None)
        else lists.in_time(rows.annotate(ended_at=_ENDED), "ended_at", times)
    )


_ENDED = Func(
    F("started_at"), F("duration_seconds"), template="(%(expressions)s)",
    arg_joiner=" + interval '1 second' * ", output_field=DateTimeField(),
)  # fmt: skip


@require_GET
@page("agents:read")
def talks(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of the page of conversations: the latest, or those that a figure counts.

    ``?talks=`` is one of ``TALKS``; agent, domain, client, channel and intent narrow it.
    """
    given = request.GET
    rows = _talks_about(conversations.visible(caller), given)
    words, field, asked_since = "Latest conversations", "last_turn_at", None
    if kind := given.get("talks"):
        if kind not in TALKS:
            raise InvalidInput("talks", kind, f"one of {', '.join(TALKS)}")
        title, field, which = TALKS[kind]
        when = asked(request, caller, "30d").when
        since = moment("since", given["since"]) if given.get("since") else when.since
        words = f"Conversations that {title} "
        words += f"since {since:%-d %B %Y}" if given.get("since") else f"in {when.words}"
        rows = rows.filter(**{f"{field}__gte": since}, **which)
        if kind == "asked":  # of a longer conversation those of the time
            asked_since = since
        if field == "created_at":  # which its id tells as well, and has an index
            rows = rows.filter(id__gte=first_id(since - BEFORE))
    before = given.get("before", "")
    if field != "created_at":
        rows = lists.later_pages(rows, before, field)
    else:
        rows = rows.filter(id__lt=lists.behind(before)[1]) if before else rows
        rows = rows.order_by("-id")
    latest = list(rows[: SHOWN_TALKS + 1])
    shown, older = latest[:SHOWN_TALKS], ""
    questions = _questions(shown, asked_since)
    for talk in shown:
        talk.turn_count = questions.get(talk.pk, 0)
    if len(latest) > SHOWN_TALKS:
        last = shown[-1]
        place = lists.place(getattr(last, field), last.pk)
        older = f"/dashboard/_talks?{urlencode({**given.dict(), 'before': place})}"
    context = {"talks": shown, "words": words, "older": older, "is_later": bool(before)}
    return render(request, "agents/_talks.html", context)


def _questions(shown: Sequence[Any], since: datetime | None) -> dict[UUID, int]:
    """How many questions each of these conversations has: they are what is counted as turns.

    Of those on the page only: a count beside the list would be made of all that match.
    """
    rows = Turn.objects.filter(
        conversation_id__in=[talk.pk for talk in shown], role=Turn.Role.USER
    ).order_by()
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    return dict(rows.values_list("conversation_id").annotate(questions=Count("id")))


def _talks_about(rows: QuerySet[Any], given: Any) -> QuerySet[Any]:
    if client := given.get("client"):
        rows = rows.filter(client_id=identifier("client", client))
    if channel := given.get("channel"):
        rows = rows.filter(channel=channel)
    if agent := given.get("agent"):
        rows = rows.filter(agent_slug=agent)
    for name in OF_AGENTS:
        if value := given.get(name):
            of = Agent.objects.filter(**{name: value}).values_list("slug", flat=True)
            rows = rows.filter(agent_slug__in=list(of))
    if intent := given.get("intent"):  # without one, it is what the agent is about
        rows = rows.filter(Q(intent=intent) | Q(intent="", agent_slug=intent))
    return rows
