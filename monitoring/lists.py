"""The lists of rows behind figures: filters in the address, pages by a place, the same as a file.

A list says how its rows are read, from a place on, and how a row is told. Everything else is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from config import readable
from config.access.callers import Caller
from config.spreadsheets import streamed
from monitoring.asked import asked, chips, filters_of, identifier, moment
from monitoring.stretch import RANGES

SHOWN = 50
# A file is read so many rows at a time, and ends after so many.
AT_ONCE, CSV_ROWS = 1_000, 100_000
Row = TypeVar("Row")
# At most so many rows behind a place (an empty text: the first ones).
Read = Callable[[HttpRequest, Caller, int, str], list[Row]]
# What the rows of a page are, in words, and whether there are more of them.
Tell = Callable[[list[Row], bool], str]
SAID = {("range", name): f"last {words}" for name, (_, _, words) in RANGES.items()}


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """``place_of`` names a row in an address; ``cells`` are its columns in the file.

    ``one`` and ``many`` are what rows are called; ``said`` are filters that no reader would guess.
    """

    place: str
    template: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    one: str
    many: str
    read: Read[Row]
    place_of: Callable[[Row], str]
    cells: Callable[[Row], Sequence[object]]
    said: Mapping[tuple[str, str], str] = field(default_factory=dict)
    tell: Tell[Row] | None = None

    def page(self, request: HttpRequest, caller: Caller, **more: Any) -> HttpResponse:
        """The rows behind ``?before=`` with the way to the next; ``more`` is for the template."""
        found = self.read(request, caller, SHOWN + 1, request.GET.get("before", ""))
        return self.shown(request, found, **more)

    def shown(self, request: HttpRequest, found: list[Row], **more: Any) -> HttpResponse:
        """A page of ``found``; of more than ``SHOWN`` the rest is on the next."""
        rows, given, older = found[:SHOWN], filters_of(request, self.names), ""
        if len(found) > SHOWN:
            older = f"?{urlencode({**given, 'before': self.place_of(rows[-1])})}"
        context = {
            "rows": rows, "older": older, "given": given.items(),
            "filters": chips(given, {**SAID, **self.said}),
            "words": (self.tell or self.words)(rows, bool(older)), "place": self.place,
            "csv": f"{self.place}.csv?{urlencode(given)}",
        }  # fmt: skip
        return render(request, self.template, {**context, **more})

    def file(self, request: HttpRequest, caller: Caller) -> StreamingHttpResponse:
        """The newest ``CSV_ROWS`` that match, exact. Raises as ``read`` does, before it begins."""
        first = self.read(request, caller, AT_ONCE, "")
        rows = islice(self._all(first, request, caller), CSV_ROWS)
        name = f"{self.place.rpartition('/')[2]}.csv"
        return streamed(self.columns, map(self.cells, rows), name)

    def _all(self, found: list[Row], request: HttpRequest, caller: Caller) -> Iterator[Row]:
        while True:
            yield from found
            if len(found) < AT_ONCE:
                return
            found = self.read(request, caller, AT_ONCE, self.place_of(found[-1]))

    def words(self, rows: list[Row], more: bool) -> str:
        """What the first line says."""
        if not rows:
            return f"No {self.one} matches."
        if more:
            return f"The newest {len(rows)} {self.many} that match."
        said = readable.plural(len(rows), self.one, self.many)
        return f"{said} match{'es' if len(rows) == 1 else ''}."


def times_of(
    request: HttpRequest, caller: Caller, given: Mapping[str, str]
) -> tuple[datetime | None, datetime | None]:
    """From when until when, by ``since``, ``until`` and ``range``. Raises InvalidInput."""
    since = moment("since", given["since"]) if given.get("since") else None
    until = moment("until", given["until"]) if given.get("until") else None
    if since is None and given.get("range"):
        since = asked(request, caller).when.since
    return since, until


def in_time(
    rows: QuerySet[Any], field_name: str, times: tuple[datetime | None, datetime | None]
) -> QuerySet[Any]:
    """Those whose ``field_name`` lies in [since, until)."""
    since, until = times
    if since is not None:
        rows = rows.filter(**{f"{field_name}__gte": since})
    return rows if until is None else rows.filter(**{f"{field_name}__lt": until})


def place(at: datetime, last: object) -> str:
    """The place of a row in a list by time, the latest first."""
    return f"{at.isoformat()}|{last}"


def behind(before: str) -> tuple[datetime, Any]:
    """What ``place`` has put together. Raises InvalidInput."""
    at, _, last = before.rpartition("|")
    return moment("before", at), identifier("before", last)


def later_pages(rows: QuerySet[Any], before: str, at: str) -> QuerySet[Any]:
    """The rows behind a place, by the time ``at`` and then the id, the latest first."""
    if before:
        when, last = behind(before)
        rows = rows.filter(Q(**{f"{at}__lt": when}) | Q(**{at: when, "id__lt": last}),
                           **{f"{at}__lte": when})  # fmt: skip
    return rows.order_by(f"-{at}", "-id")
