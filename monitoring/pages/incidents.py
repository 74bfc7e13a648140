"""Incidents and alerts: what is wrong, how bad for whom, what was done, what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from config import readable
from config.access.callers import Caller
from config.errors import AppError, InvalidInput, NotFound
from config.pages import page
from monitoring import (
    addresses,
    burning,
    charts,
    impact,
    incidents,
    queries,
    telling,
    watchlist,
)
from monitoring.asked import Asked, asked, for_staff, offered
from monitoring.domain.responses import UNDO
from monitoring.marking import marks
from monitoring.models import Action, Alert, AlertRule, Incident, Rota, Silence
from monitoring.queries import HOUR, MINUTE

OPEN = (Incident.State.OPEN, Incident.State.ACKNOWLEDGED)
SHOWN = 50


@require_GET
@page("monitoring:read")
def all_incidents(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/incidents``: open ones, alerts that fire, what was silenced, the past."""
    for_staff(caller, "see incidents of the whole fleet")
    found = asked(request, caller, "30d")
    counted = Incident.objects.annotate(alert_count=Count("alerts"))
    open_ = list(counted.filter(state__in=OPEN).order_by("-opened_at"))
    open_.sort(key=lambda one: -watchlist.RANK[one.severity])
    past = counted.exclude(state__in=OPEN).filter(opened_at__gte=found.when.since)
    if severity := request.GET.get("severity"):
        past = past.filter(severity=severity)
    firing = watchlist.firing()
    context = {
        **offered(caller, found), "clients": [],
        "words": _words(open_, len(firing)),
        "open": open_, "firing": firing[:SHOWN], "firing_count": len(firing),
        "past": list(past.order_by("-opened_at")[:SHOWN]),
        "silences": Silence.objects.select_related("rule").filter(ends_at__gt=timezone.now()),
        "plot": _plot(found),
        "may_answer": caller.has("monitoring:write"),
        "on_call": sorted(
            set(
                Rota.objects.filter(is_active=True)
                .exclude(on_call=None)
                .values_list("on_call__name", flat=True)
            )
        ),
        "severities": list(watchlist.RANK),
    }  # fmt: skip
    return render(request, "dashboard/incidents.html", context)


def _words(open_: list[Any], firing: int) -> str:
    if not open_:
        return "Nothing is wrong." + (f" {readable.plural(firing, 'alert')} fires, silently."
                                      if firing else "")  # fmt: skip
    unanswered = [one for one in open_ if one.state == Incident.State.OPEN]
    said = f"{readable.plural(len(open_), 'incident')} {'is' if len(open_) == 1 else 'are'} open"
    if not unanswered:
        return said + "; somebody takes care of each."
    return said + f"; nobody has acknowledged {readable.listed([i.title for i in unanswered], 2)}."


def _plot(found: Asked) -> charts.Document | None:
    """Incidents that were opened, by day."""
    grid = queries.grid(("invocations",), since=found.when.since, until=found.when.until,
                        step=found.when.step)  # fmt: skip
    counts: list[float | None] = [0.0] * len(grid.starts)
    times = Incident.objects.filter(opened_at__gte=grid.starts[0]).values_list("opened_at")
    for (at,) in times:
        place = (at - grid.starts[0]) // grid.step
        if place < len(counts):
            counts[place] = (counts[place] or 0.0) + 1
    if not any(counts):
        return None
    return charts.bars("Incidents opened", grid.starts, counts)


@require_http_methods(["GET", "POST"])
@page("monitoring:read")
def one(request: HttpRequest, caller: Caller, incident_id: UUID) -> HttpResponse:
    """``/dashboard/incidents/{id}``; a POST acknowledges or resolves it, or takes a first
    response back."""
    for_staff(caller, "see incidents of the whole fleet")
    if request.method == "POST":
        caller.require("monitoring:write", "answer incidents")
        try:
            _answer(request.POST, incident_id, caller.principal)
        except AppError as error:
            messages.error(request, str(error), "bad")
        return redirect(f"/dashboard/incidents/{incident_id}")
    row = Incident.objects.filter(pk=incident_id).first()
    if row is None:
        raise NotFound("incident", incident_id)
    alerts = list(row.alerts.select_related("rule").order_by("-id")[:200])
    titles = {alert.rule.slug: alert.rule.title for alert in alerts}
    # What made it as bad as it is, and began first, is what to look at.
    worst = sorted(alerts, key=lambda one: (-watchlist.RANK[one.severity], one.pk))
    scope, _, key = row.cause.partition(":")
    context = {
        "one": row, "alerts": [
            {"row": alert, "why": alert.why or telling.compared(alert)} for alert in alerts
        ],
        "timeline": [
            {"at": event.at, "name": event.name, "actor": event.actor,
             "words": telling.words_of(event.name, event.detail, titles)}
            for event in row.timeline.all()[:300]
        ],
        "actions": _responses(row),
        "deliveries": list(row.deliveries.select_related("channel").order_by("-id")[:50]),
        "is_open": row.state in OPEN, "may_answer": caller.has("monitoring:write"),
        "page": addresses.page_of(scope, key),
        "failed": (failed := _failed(row, scope, key)),
        "touched": _touched(row, scope, key) if len(failed) == 1 else "",
        "calls": _calls_of(row, scope, key) if scope != "provider" else "",
        "runs": addresses.rows_behind("runs", *_runs_of(scope, key), since=_rfc(
            impact.since_of(row))),
        "counted_at": _counted_at(row), "alert_count": row.alerts.count(),
        "advice": next((a.rule.advice for a in worst if a.rule.advice), ""),
        "runbooks": sorted({a.rule.runbook for a in alerts if a.rule.runbook}),
    }  # fmt: skip
    return render(request, "dashboard/incident.html", context)


def _counted_at(row: Incident) -> datetime | None:
    """When its users were counted; None once it has ended, for then all are."""
    said = row.impact.get("counted_at") if row.state in OPEN else None
    return datetime.fromisoformat(said) if said else None


def _failed(row: Incident, scope: str, key: str) -> list[tuple[str, str]]:
    """What to call the failed calls behind it, and where they are: for a provider, by endpoint."""
    rows = partial(_calls_of, row, state="failed", replays="no")
    if scope != "provider":
        return [("failed calls", rows(scope, key))]
    since, until = impact.since_of(row), row.resolved_at or timezone.now()
    return [
        (f"failed calls of {name}", rows("endpoint", name))
        for name in impact.endpoints_of(key, since, until + MINUTE)
    ]


def _touched(row: Incident, scope: str, key: str) -> str:
    """The calls of those who are counted as touched: a fallback is not what they asked for."""
    state = "failed,fallback" if row.impact.get("fallbacks") else "failed"
    return _calls_of(row, scope, key, state=state, replays="no")


def _calls_of(row: Incident, scope: str, key: str, **more: str) -> str:
    """The calls that its impact counts."""
    if scope not in impact.TOLD_OF:
        scope, key = "all", ""
    if scope in addresses.BLAMED and "state" in more:
        more["blamed"] = "1"
    if row.resolved_at is not None:
        more["until"] = _rfc(row.resolved_at)
    return addresses.rows_of(scope, key, since=_rfc(impact.since_of(row)), **more)


def _runs_of(scope: str, key: str) -> tuple[str, str]:
    return (scope, key) if scope == "workflow" else ("all", "")


def _rfc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _answer(asked: QueryDict, incident_id: UUID, actor: str) -> None:
    match asked.get("action", ""):
        case "acknowledge":
            incidents.acknowledge(incident_id, actor=actor)
        case "resolve":
            incidents.resolve(incident_id, actor=actor, now=timezone.now())
        case "take_back":
            incidents.take_back(incident_id, _id(asked.get("response", "")), actor=actor)
        case action:
            raise InvalidInput("action", action, "acknowledge, resolve or take_back")


def _id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise InvalidInput("response", given, "the id of a first response") from None


def _responses(row: Incident) -> list[dict[str, Any]]:
    """What was done by itself, oldest first, and whether it can still be taken back."""
    rows = list(row.actions.order_by("asked_at", "id"))
    undone = {one.undoes_id for one in rows}
    return [
        {"row": one, "said": one.result.get("said", ""),
         "may_end": one.state == Action.State.DONE and one.kind in UNDO and one.undoes_id is None
                    and one.pk not in undone}
        for one in rows
    ]  # fmt: skip


@require_GET
@page("monitoring:read")
def alert(request: HttpRequest, caller: Caller, alert_id: UUID) -> HttpResponse:
    """``/dashboard/alerts/{id}``: current against baseline, the last errors, what to do."""
    for_staff(caller, "see alerts of the whole fleet")
    rows = Alert.objects.select_related("rule", "incident", "inhibited_by__rule")
    row = rows.filter(pk=alert_id).first()
    if row is None:
        raise NotFound("alert", alert_id)
    context = {
        "one": row, "rule": row.rule, "page": addresses.page_of(row.scope, row.key),
        "value": telling.figure(row.rule, row.value),
        "baseline": telling.figure(row.rule, row.baseline),
        "limit": telling.limit(row.rule),
        "rows": addresses.rows_behind(row.rule.metric, row.scope, row.key, since=_rfc(
            (row.fired_at or row.pending_since) - HOUR), **_sorted(row.rule)),
        "errors": row.detail.get("errors", []), "top_cost": row.detail.get("top_cost_agents", []),
        "plot": _course(row),
        "others": list(
            Alert.objects.filter(rule=row.rule, key=row.key).exclude(pk=row.pk).order_by("-id")[:10]
        ),
    }  # fmt: skip
    return render(request, "dashboard/alert.html", context)


def _sorted(rule: AlertRule) -> dict[str, str]:
    """Of what took too long, the slowest first."""
    return {"sort": "slowest"} if rule.metric == "invocation_duration_seconds" else {}


def _course(row: Alert) -> charts.Document | None:
    """What the rule looks at, around the time of the alert, with its limit dashed."""
    rule = row.rule
    if not rule.metric or rule.kind == AlertRule.Kind.HEARTBEAT:
        return None
    middle = row.fired_at or row.pending_since
    until = min(timezone.now() + MINUTE, middle + 12 * HOUR)
    names = [name for name in (rule.metric, rule.denominator) if name]
    grid = queries.grid(names, scope=rule.scope, since=middle - 24 * HOUR, until=until,
                        step=HOUR, keys=[row.key])  # fmt: skip
    stats = grid.values(row.key, rule.metric)
    if rule.denominator:
        values = charts.shares_of(stats, grid.values(row.key, rule.denominator))
    else:
        values = [queries.statistic(stat, rule.statistic) for stat in stats]
    baseline, words = row.baseline, "compared with"
    if rule.kind == AlertRule.Kind.BURN_RATE:  # how fast is not in the unit of what is drawn
        baseline, words = burning.promised_value(rule), "promised"
    document = charts.lines(
        f"{rule.title}: {rule.metric.replace('_', ' ')}", grid.starts,
        [("share" if rule.denominator else rule.statistic, values)],
        unit="ratio" if rule.denominator else _unit(rule.metric), baseline=baseline,
        baseline_words=words,
        marks=marks(scope=row.scope, key=row.key, since=grid.starts[0], until=until),
    )  # fmt: skip
    return document if charts.has_values(document) else None


def _unit(metric: str) -> str:
    for end, unit in (("_seconds", "s"), ("_usd", "USD"), ("_ratio", "ratio")):
        if metric.endswith(end):
            return unit
    return ""
