"""What a page was asked for: a stretch of time, a client, a key; and how that is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from config.access.callers import Caller
from config.access.models import Client
from config.errors import Forbidden, InvalidInput
from monitoring.marking import Seen, marks
from monitoring.sight import Sight, sight
from monitoring.stretch import RANGES, Stretch, stretch

MOST_CLIENTS = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """The stretch, the client (or an empty text) and what of it the caller sees."""

    when: Stretch
    client: str
    sight: Sight


def asked(request: HttpRequest, caller: Caller, default: str = "24h") -> Asked:
    """From ``?range=`` and ``?client=``. Raises InvalidInput, Forbidden."""
    client = request.GET.get("client", "")
    when = stretch(request.GET.get("range") or default, now=timezone.now())
    return Asked(when, client, sight(caller, client))


def offered(caller: Caller, found: Asked) -> dict[str, Any]:
    """What the filters of a page show."""
    clients = caller.only_visible(Client.objects.all(), "id").order_by("name")
    return {
        "when": found.when,
        "client": found.client,
        "ranges": [(name, words) for name, (_, _, words) in RANGES.items()],
        "clients": list(clients.only("id", "name")[:MOST_CLIENTS]),
    }


def link(path: str, found: Asked, **more: str) -> str:
    """An address of a piece with the same filters."""
    given = {"range": found.when.name, "client": found.client, **more}
    return f"{path}?{urlencode({name: value for name, value in given.items() if value})}"


def seen_in(found: Asked) -> list[Seen]:
    """The incidents of the stretch, for plots of everything; who sees some clients sees none."""
    if found.client or found.sight.clients is not None:
        return []
    return marks(scope="all", key="", since=found.when.since, until=found.when.until)


# Ids and windows are counted from these, and a day or a year may be taken off or added.
_FIRST = datetime(1972, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


def moment(name: str, text: str) -> datetime:
    """A time of an address, with its offset. Raises InvalidInput."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(name, text, "an RFC 3339 time, such as 2026-11-20T12:00:00Z") from None
    if at.tzinfo is None:
        raise InvalidInput(name, text, "with its offset from UTC, such as a final Z")
    if not _FIRST <= at <= _LAST:
        raise InvalidInput(name, text, f"from {_FIRST.year} to {_LAST.year}")
    return at


def for_staff(caller: Caller, what: str) -> None:
    """Raise Forbidden for those who see only some clients."""
    if caller.client_ids is not None:
        raise Forbidden(what, "access to every client")


def client_names(ids: Callable[[], list[str]]) -> dict[str, str]:
    """Names of clients by their ids."""
    return {str(pk): name for pk, name in
            Client.objects.filter(pk__in=ids()).values_list("id", "name")}  # fmt: skip


def filters_of(request: HttpRequest, names: Iterable[str]) -> dict[str, str]:
    """The filters of a list that an address gives."""
    return {name: request.GET[name] for name in names if request.GET.get(name)}


def chips(given: Mapping[str, str], said: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """For each filter of a list: the address without it, and what it says in words."""
    return [
        (f"?{urlencode({k: v for k, v in given.items() if k != name})}",
         said.get((name, value)) or f"{name}: {value}")
        for name, value in given.items()
    ]  # fmt: skip


def identifier(name: str, text: str) -> UUID:
    """An id of an address. Raises InvalidInput."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(name, text, "must be an id") from None
