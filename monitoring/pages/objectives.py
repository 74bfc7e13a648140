"""Objectives: the scorecard, how fast error budgets burn, and the monthly reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from config import readable
from config.access.callers import Caller
from config.access.models import Client
from config.errors import Forbidden
from config.pages import page
from config.spreadsheets import as_file
from monitoring import addresses, objectives, queries, sla
from monitoring.asked import asked as asked_for
from monitoring.asked import offered
from monitoring.models import Objective, SlaReport
from monitoring.objectives import Card

SCOPES = ("agent", "domain", "client")


def said(value: float | None, card: Any) -> str:
    """A figure of an objective in its own unit."""
    if value is None:
        return "–"
    metric = card["metric"] if isinstance(card, dict) else card.metric
    statistic = card["statistic"] if isinstance(card, dict) else card.statistic
    if statistic in ("ratio", "good_ratio", "growth") or metric.endswith("_ratio"):
        return readable.percent(value)
    if metric.endswith("_seconds"):
        return readable.duration(value)
    return readable.significant(value)


@require_GET
@page("monitoring:read")
def scorecard(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/objectives``; ``?domain=``, ``?agent=`` or ``?client=`` narrows it."""
    found = asked_for(request, caller, "30d")
    scope, key = _place(request, caller)
    now = timezone.now()
    cards = objectives.scorecard(now=now, scope=scope, key=key)
    budgeted = [card.objective for card in cards if card.budget is not None]
    burning = [
        {
            "title": one.title,
            "burns": [
                (burn, _bad(one.metric, scope, key, since=_rfc(now - burn.window.long)))
                for burn in burns
            ],
        }
        for one, burns in zip(
            budgeted, objectives.burns(budgeted, now=now, scope=scope, key=key), strict=True
        )
    ]
    context = {
        **offered(caller, found), "scope": scope, "key": key, "name": _name(scope, key),
        "rows": [row_of(card, now, scope, key) for card in cards], "burning": burning,
        "words": _words(cards, _name(scope, key)), "domains": _domains(caller, now),
        "report": f"/dashboard/sla/{now:%Y-%m}" + (f"?{scope}={key}" if scope != "all" else ""),
    }  # fmt: skip
    return render(request, "dashboard/objectives.html", context)


def _place(request: HttpRequest, caller: Caller) -> tuple[str, str]:
    """The scope and key that the address names, if the caller may see them."""
    scope, key = "all", ""
    for name in SCOPES:
        if value := request.GET.get(name):
            scope, key = name, value
    if caller.client_ids is not None:
        if scope == "all" and len(caller.client_ids) == 1:
            return "client", str(next(iter(caller.client_ids)))
        if scope != "client" or not _is_seen(caller, key):
            raise Forbidden("see these objectives", "?client=… of a client that you may see")
    return scope, key


def _is_seen(caller: Caller, key: str) -> bool:
    try:
        return caller.sees(UUID(key))
    except ValueError:
        return False


def _name(scope: str, key: str) -> str:
    if scope == "client" and len(key) == 36:
        return Client.objects.filter(pk=key).values_list("name", flat=True).first() or key
    return key


def _domains(caller: Caller, now: Any) -> list[str]:
    if caller.client_ids is not None:
        return []
    rows = queries.totals(["invocations"], scope="domain", since=now - 28 * objectives.DAY,
                          until=now)  # fmt: skip
    return sorted(rows)


def _rfc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def _since(one: Objective, now: datetime) -> str:
    """The first of the days that it is about, as the lists of rows take it."""
    days = max(one.window_seconds // 86_400, 1)
    return f"{now - timedelta(days=days - 1):%Y-%m-%d}T00:00:00Z"


def _of_day(metric: str, miss: dict[str, Any], scope: str, key: str) -> str:
    """What a metric counted on a day."""
    day = datetime.fromisoformat(miss["date"])
    return _bad(metric, scope, key, since=f"{day:%Y-%m-%d}T00:00:00Z",
                until=f"{day + timedelta(days=1):%Y-%m-%d}T00:00:00Z")  # fmt: skip


def _bad(metric: str, scope: str, key: str, **when: str) -> str:
    """The rows of what a metric counts; of what took too long the slowest first."""
    slowest = {"sort": "slowest"} if metric == "invocation_duration_seconds" else {}
    return addresses.rows_behind(metric, scope, key, **slowest, **when)


def row_of(card: Card, now: datetime, scope: str = "all", key: str = "") -> dict[str, Any]:
    """An objective as it stands, in words and figures."""
    one, budget = card.objective, card.budget
    return {
        "card": card, "title": one.title, "definition": one.definition,
        "rows": _bad(one.metric, scope, key, since=_since(one, now)),
        "observed": addresses.rows_behind(one.denominator or one.metric, scope, key,
                                          since=_since(one, now)),
        "state": str(card.score.state), "value": said(card.score.value, one),
        "exact": "" if card.score.value is None else f"{card.score.value:.6g}",
        "target": ("at least " if one.above else "under ") + said(one.target, one),
        "observations": card.score.observations, "budget": budget,
        "left": None if budget is None else max(0.0, min(budget.left_ratio, 1.0)),
        "days": round(one.window_seconds / 86_400), "course": list(card.days),
        "has_course": sum(day is not None for day in card.days) > 1,
    }  # fmt: skip


def _words(cards: list[Card], name: str) -> str:
    states = [str(card.score.state) for card in cards]
    met, known = states.count("met"), len(states) - states.count("no_data")
    about = f" of {name}" if name else ""
    if not known:
        return f"Nothing was measured yet that an objective{about} is about."
    missed = [card.objective.title for card in cards if str(card.score.state) == "missed"]
    told = f"{met} of {known} measured objectives{about} are met"
    return told + (f"; missed: {readable.listed(missed)}." if missed else ".")


@require_GET
@page("monitoring:read")
def reports(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/sla``: the months, and what was kept of each."""
    scope, key = _place(request, caller)
    now = timezone.now()
    kept = SlaReport.objects.all()
    if caller.client_ids is not None:
        kept = kept.filter(scope="client", key__in=[str(one) for one in caller.client_ids])
    rows: list[dict[str, Any]] = [{"month": f"{month:%Y-%m}", "words": f"{month:%B %Y}",
             "kept": list(kept.filter(month=month).defer("document"))}
            for month in sla.months(now)]  # fmt: skip
    names = {str(pk): name for pk, name in Client.objects.values_list("id", "name")}
    for row in rows:
        for one in row["kept"]:
            one.name = names.get(one.key, one.key) or "everything"
    clients = caller.only_visible(Client.objects.all(), "id").order_by("name")[:200]
    context = {"rows": rows, "scope": scope, "key": key, "domains": _domains(caller, now),
               "clients": clients}  # fmt: skip
    return render(request, "dashboard/sla.html", context)


@require_GET
@page("monitoring:read")
def report(request: HttpRequest, caller: Caller, month: str) -> HttpResponse:
    """``/dashboard/sla/2026-11`` as a page to print; ``?format=csv`` as a file."""
    scope, key = _place(request, caller)
    document = sla.report(sla.month_of(month), scope=scope, key=key, now=timezone.now())
    if request.GET.get("format") == "csv":
        return as_file(sla.as_csv(document), f"sla-{month}-{scope}-{key or 'all'}.csv")
    first, end = sla.month_of(month), sla.next_month(sla.month_of(month))
    whole = {"since": f"{first:%Y-%m}-01T00:00:00Z", "until": f"{end:%Y-%m}-01T00:00:00Z"}
    rows = [
        {**one, "said": said(one["value"], one), "rows": _bad(one["metric"], scope, key, **whole),
         "wanted": ("at least " if one["above"] else "under ") + said(one["target"], one),
         "violations": [
             {**miss, "said": said(miss["value"], one),
              "rows": _of_day(one.get("denominator") or one["metric"], miss, scope, key),
              "reached": _of_day(one["metric"], miss, scope, key)}
             for miss in one["violations"]
         ]}
        for one in document["objectives"]
    ]  # fmt: skip
    known = [row for row in rows if row["state"] != "no_data"]
    context = {
        "document": document, "made_at": datetime.fromisoformat(document["made_at"]),
        "rows": rows, "name": _name(scope, key) or "the whole fleet",
        "month": sla.month_of(month), "known": len(known),
        "met": sum(row["state"] == "met" for row in known),
        "calls": addresses.rows_behind("invocations", scope, key, **whole),
        "paid": addresses.rows_behind("cost_usd", scope, key, **whole),
        "runs": addresses.rows_behind("runs", scope, key, **whole),
        "missed_days": sum(len(row["violations"]) for row in rows),
    }  # fmt: skip
    return render(request, "dashboard/report.html", context)
