"""The list of work that was done again: answers that people corrected, and steps made anew."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from agents import queries as agents
from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from learning import feedback
from learning.listing import PAGES
from learning.models import Feedback, Subject
from monitoring import lists
from monitoring.asked import filters_of, identifier, moment
from monitoring.lists import Listing
from workflows import doing_again

NAMES = ("agent", "version", "domain", "workflow", "step", "client", "range", "since", "until")
COLUMNS = ("at", "kind", "times", "about", "id")
# Rows of one moment stand in this order.
KINDS = ("corrected", "retried", "turn")
WORDS = {"corrected": "Answer corrected", "retried": "Failed results made anew",
         "turn": "Another turn of a loop"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """``times`` results of what ``about`` names were done again."""

    at: datetime
    kind: str
    id: Any
    times: int
    about: str
    href: str

    @property
    def words(self) -> str:
        return WORDS[self.kind]


@require_GET
@page("learning:read")
def all_again(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/again``: results that were done once more, the newest first.

    Corrections are told by agent, version, domain and client; turns of loops and retries of
    failed runs by workflow, step and client.
    """
    return LIST.page(request, caller)


@require_GET
@page("learning:read")
def as_csv(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """``/dashboard/again.csv``: the newest that match, exact."""
    return LIST.file(request, caller)


def _read(request: HttpRequest, caller: Caller, limit: int, before: str) -> list[Row]:
    """The newest ``limit`` of all kinds; each kind gives at most so many."""
    given = filters_of(request, NAMES)
    asks: dict[str, Any] = dict(given)
    asks["since"], asks["until"] = lists.times_of(request, caller, given)
    if client := given.get("client"):
        asks["client"] = identifier("client", client)
    kinds: list[Iterable[Row]] = []
    is_of_agents = any(given.get(name) for name in ("agent", "version", "domain"))
    if not (given.get("workflow") or given.get("step")):
        kinds.append(_corrections(caller, asks, _behind("corrected", before), limit))
    if not is_of_agents:
        for kind, read in (("retried", doing_again.retries), ("turn", doing_again.turns)):
            found = read(caller, asks, _behind(kind, before), limit)
            kinds.append([_of_run(one, kind) for one in found])
    merged = heapq.merge(*kinds, key=lambda one: -one.at.timestamp())
    return [one for one, _ in zip(merged, range(limit), strict=False)]


def _of_run(one: doing_again.Again, kind: str) -> Row:
    where = f"/dashboard/runs/{one.run_id}" + (f"?step={one.id}" if one.step else "")
    return Row(one.at, kind, one.id, one.times, f"{one.workflow} {one.step}".rstrip(), where)


def _corrections(
    caller: Caller, asks: dict[str, Any], behind: dict[str, Any] | None, limit: int
) -> Iterator[Row]:
    rows = feedback.visible(caller).filter(kind=Feedback.Kind.CORRECTION)
    rows = rows.exclude(subject_kind=Subject.CONVERSATION)
    if agent := asks.get("agent"):
        rows = rows.filter(agent_slug=agent)
    if version := asks.get("version"):
        rows = rows.filter(version_id__in=agents.versions_numbered(agent or "", version))
    if domain := asks.get("domain"):
        rows = rows.filter(agent_slug__in=agents.slugs_of(domain))
    if client := asks.get("client"):
        rows = rows.filter(client_id=client)
    if asks["since"]:
        rows = rows.filter(created_at__gte=asks["since"])
    if asks["until"]:
        rows = rows.filter(created_at__lt=asks["until"])
    if behind:
        when, last = behind["at"], behind.get("id")
        same = Q(created_at=when, id__lt=last) if last else Q(pk__in=[])
        rows = rows.filter(Q(created_at__lt=when) | same)
    for row in rows.order_by("-created_at", "-id")[:limit]:
        href = PAGES.get(row.subject_kind, "").format(row.subject_id)
        yield Row(row.created_at, "corrected", row.pk, 1, row.agent_slug or row.subject_kind, href)


def _behind(kind: str, before: str) -> dict[str, Any] | None:
    """Where a kind goes on behind the last row of a page: ``<time>|<kind>|<id>``."""
    if not before:
        return None
    at, _, rest = before.partition("|")
    last_kind, _, last = rest.partition("|")
    if last_kind not in KINDS:
        raise InvalidInput("before", before, "what the page before leads to")
    found: dict[str, Any] = {
        "at": moment("before", at),
        "with_equal": KINDS.index(kind) > KINDS.index(last_kind),
    }
    if kind == last_kind:
        found["id"] = _number(last) if kind == "retried" else identifier("before", last)
    return found


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InvalidInput("before", text, "a number")
    return int(text)


def _cells(row: Row) -> Sequence[object]:
    return (row.at, row.kind, row.times, row.about, str(row.id))


def _tell(rows: list[Row], more: bool) -> str:
    if not rows:
        return "Nothing was done again."
    if more:
        return f"The newest {len(rows)} of what was done again."
    times = sum(row.times for row in rows)
    return f"{readable.plural(times, 'result')} {'was' if times == 1 else 'were'} done again."


LIST: Listing[Row] = Listing(
    place="/dashboard/again", template="learning/again.html", names=NAMES, columns=COLUMNS,
    one="result", many="results", read=_read,
    place_of=lambda row: f"{row.at.isoformat()}|{row.kind}|{row.id}", cells=_cells, tell=_tell,
)  # fmt: skip
