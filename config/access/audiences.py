"""Which audiences a user and a client belong to, as ``kind:name``."""

from __future__ import annotations

import time
from uuid import UUID

from config.access.models import Audience, Client, Membership, User
from config.errors import InvalidInput

INTERNAL, EXTERNAL = "group:internal", "group:external"
# Audiences change seldom, and calls that ask for them come by the thousand.
KEPT_SECONDS = 30.0
MOST_KEPT = 10_000
# Audiences that a refusal names.
MOST_NAMED = 20
_kept: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}


def audiences_of(user_id: str, client_id: str) -> frozenset[str]:
    """The audiences of a user ("" for none) and a client, at most KEPT_SECONDS old.

    ``group:internal`` is whoever works at the firm, ``group:external`` everybody else.
    """
    key, now = (user_id, client_id), time.monotonic()
    found = _kept.get(key)
    if found is None or found[0] < now:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        found = _kept[key] = (now + KEPT_SECONDS, read(user_id, client_id))
    return found[1]


def read(user_id: str, client_id: str) -> frozenset[str]:
    """The same, as they are now."""
    names: set[str] = set()
    if client_id:
        rows = Audience.objects.filter(client=UUID(client_id))
        names |= {f"{kind}:{name}" for kind, name in rows.values_list("kind", "name")}
    if user_id:
        rows = Audience.objects.filter(user=UUID(user_id))
        names |= {f"{kind}:{name}" for kind, name in rows.values_list("kind", "name")}
        internal = Membership.objects.filter(user_id=user_id, client__is_firm=True).exists()
        internal = internal or User.objects.filter(pk=user_id, is_superuser=True).exists()
    else:
        internal = bool(client_id) and Client.objects.filter(pk=client_id, is_firm=True).exists()
    return frozenset(names | {INTERNAL if internal else EXTERNAL})


def forget() -> None:
    """Look everything up again at the next question."""
    _kept.clear()


def check_audiences(names: list[str], field: str) -> None:
    """Raise InvalidInput for a name that no audience has."""
    for name in names:
        kind, _, rest = str(name).partition(":")
        known = name in (INTERNAL, EXTERNAL) or (
            Audience.objects.filter(kind=kind, name=rest).exists()
        )
        if not known:
            rows = Audience.objects.exclude(kind=Audience.Kind.CLIENT).order_by("kind", "name")
            named = rows.values_list("kind", "name").distinct()[:MOST_NAMED]
            there = [f"{kind}:{name}" for kind, name in named]
            some = ", ".join([INTERNAL, EXTERNAL, *there])
            raise InvalidInput(field, name, f"an audience that somebody is in: {some}")
