"""Security: what was tried and stopped, by whom, and what in the record has been looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.access.models import ApiKey, User
from config.errors import InvalidInput
from config.pages import page
from config.partitions import first_id
from monitoring import charts, figures, services
from monitoring.asked import Asked, asked, offered, seen_in
from monitoring.models import AuditSeal, SecurityEvent

TITLES = {
    "injection": "Injections", "personal_data": "Personal data", "secret": "Secrets",
    "denied": "Denied access", "key_misuse": "Key misuse", "unusual": "Unusual behaviour",
    "audit": "Audit log broken",
}  # fmt: skip
SHOWN = 50


@require_GET
@page("audit:read")
def overview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/security``; ``?kind=``, ``?severity=`` and ``?actor=`` filter the events."""
    found = asked(request, caller, "30d")
    rows = _chosen(request, caller, found)
    counts = _by_kind(caller, found)
    shown, actors = list(rows[:SHOWN]), _actors(caller, found)
    names = _names(caller, {one.actor for one in shown} | {one["actor"] for one in actors})
    # Looking at attacks is looking at people: it leaves its own entry.
    services.audit(actor=caller.principal, action="monitoring.security_page.read",
                   user_id=caller.user_id)  # fmt: skip
    context = {
        **offered(caller, found),
        "words": _words(counts, found),
        "figures": [
            figures.Figure(title, f"{counts.get(kind, 0):,}",
                           href=f"?kind={kind}&range={found.when.name}#events",
                           tone="bad" if kind == "audit" and counts.get(kind) else "")
            for kind, title in TITLES.items()
        ],
        "plot": _plot(found),
        "events": [
            {"row": one, "reasons": _reasons(one.detail), "who": names.get(one.actor, one.actor)}
            for one in shown
        ],
        "actors": [{**one, "who": names.get(one["actor"], one["actor"])} for one in actors],
        "kinds": TITLES,
        "sealed": AuditSeal.objects.order_by("-pk").first(),
    }  # fmt: skip
    return render(request, "dashboard/security.html", context)


def _recent(caller: Caller, found: Asked) -> Any:
    rows = caller.only_visible(SecurityEvent.objects.filter(id__gte=first_id(found.when.since)))
    return rows if found.sight.clients is None else rows.filter(client_id__in=found.sight.clients)


def _chosen(request: HttpRequest, caller: Caller, found: Asked) -> Any:
    rows = _recent(caller, found).order_by("-id")
    kind, severity = request.GET.get("kind"), request.GET.get("severity")
    if kind:
        if kind not in SecurityEvent.Kind.values:
            raise InvalidInput("kind", kind, f"one of {', '.join(SecurityEvent.Kind.values)}")
        rows = rows.filter(kind=kind)
    if severity:
        rows = rows.filter(severity__in=severity.split(","))
    if actor := request.GET.get("actor"):
        rows = rows.filter(actor=actor)
    if before := request.GET.get("before"):
        rows = rows.filter(id__lt=before) if _is_id(before) else rows
    return rows


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _by_kind(caller: Caller, found: Asked) -> dict[str, int]:
    rows = _recent(caller, found).values_list("kind").annotate(n=Count("id")).order_by()
    return dict(rows)


def _words(counts: dict[str, int], found: Asked) -> str:
    whole = sum(counts.values())
    if not whole:
        return f"Nothing was tried and nothing leaked in the last {found.when.words}."
    worst = sorted(counts, key=lambda kind: -counts[kind])[:2]
    told = readable.listed([
        readable.plural(counts[kind], "injection") if kind == "injection"
        else f"{counts[kind]:,} {TITLES[kind].lower()}" for kind in worst
    ])  # fmt: skip
    return f"{readable.plural(whole, 'event')} stopped in {found.when.words}: {told}."


def _reasons(detail: dict[str, Any]) -> str:
    """What an event's detail says, for people: the call that it is about has its own link."""
    parts = []
    for name, value in detail.items():
        if name == "invocation":
            continue
        words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        parts.append(words if name == "reasons" else f"{name.replace('_', ' ')}: {words}")
    return "; ".join(parts)


def _plot(found: Asked) -> charts.Document | None:
    grid = found.sight.grid(("security_events",), found.when)
    values = charts.totals_of(grid.values("", "security_events"))
    document = charts.bars("Events stopped", grid.starts, values, marks=seen_in(found))
    return document if charts.has_values(document) else None


def _actors(caller: Caller, found: Asked) -> list[dict[str, Any]]:
    """Who stands behind most events: one that does ten kinds of wrong things stands out."""
    rows = _recent(caller, found).exclude(actor="").values("actor")
    counted = rows.annotate(
        n=Count("id"), kinds=Count("kind", distinct=True), last=Max("at"),
        grave=Count("id", filter=Q(severity__in=["high", "critical"])),
    ).order_by("-grave", "-n")  # fmt: skip
    return list(counted[:10])


def _names(caller: Caller, actors: set[str]) -> dict[str, str]:
    """Whom people know by another name than the record does: keys by theirs, users by theirs."""
    ids: dict[str, list[UUID]] = {"key": [], "user": []}
    for actor in actors:
        kind, _, text = actor.partition(":")
        if kind in ids and _is_id(text):
            ids[kind].append(UUID(text))
    keys = caller.only_visible(ApiKey.objects.filter(pk__in=ids["key"])).select_related("user")
    found = {f"key:{key.pk}": f"{key}, {key.user.username}" for key in keys}
    users = User.objects.filter(pk__in=ids["user"])
    return found | {f"user:{pk}": name for pk, name in users.values_list("id", "username")}


def last_of(rows: list[SecurityEvent]) -> datetime | None:
    """When the oldest shown event happened."""
    return rows[-1].at if rows else None
