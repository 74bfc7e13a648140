"""The monthly report: what was promised to a domain or a client, what was kept, why not."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Q

from config import logs
from config.errors import InvalidInput
from monitoring import objectives, queries
from monitoring.addresses import rows_behind
from monitoring.domain import objectives as deciding
from monitoring.domain.grouping import PLATFORM, SHARED
from monitoring.domain.metrics import SEPARATOR
from monitoring.domain.rollups import Stat
from monitoring.models import Incident, Objective, SlaReport
from monitoring.sharers import Sharers

logger = logging.getLogger(__name__)
DAY = timedelta(days=1)
# Whom a report is made for, and where the codes of its errors are counted.
SCOPES = {"all": "code", "domain": "domain_code", "client": "client_code"}
COUNTED = ("invocations", "invocation_errors", "cost_usd", "runs", "run_errors", "run_cost_usd")
TOP_CODES = 3
# Objectives that a single day can keep or miss; growth and a weekly count can't.
DAILY = ("p50", "p95", "p99", "mean", "ratio", "good_ratio")


def month_of(text: str) -> datetime:
    """The first instant of ``2026-11``. Raises InvalidInput."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput("month", text, "a month, such as 2026-11") from None


def report(month: datetime, *, scope: str, key: str, now: datetime) -> dict[str, Any]:
    """The month's document: the one that was kept, or for an open month as it stands.

    Raises InvalidInput for a scope without reports and for a month that has not begun.
    """
    if scope not in SCOPES:
        raise InvalidInput("scope", scope, f"one of {', '.join(SCOPES)}")
    if month > now:
        raise InvalidInput("month", f"{month:%Y-%m}", f"up to {now:%Y-%m}")
    kept = SlaReport.objects.filter(month=month.date(), scope=scope, key=key).first()
    if kept is not None:
        return {**kept.document, "is_final": True, "made_at": kept.made_at.isoformat()}
    return {**_document(month, scope, key, now), "is_final": False, "made_at": now.isoformat()}


def _document(month: datetime, scope: str, key: str, now: datetime) -> dict[str, Any]:
    until = min(next_month(month), now + timedelta(minutes=1))
    promised = objectives.active()
    names = sorted({*objectives.names_of(promised), *COUNTED})
    grid = queries.grid(names, scope=scope, keys=[key], since=month, until=until, step=DAY)
    past = queries.grid(
        objectives.names_of([one for one in promised if one.statistic == "growth"]) or names[:1],
        scope=scope, keys=[key], since=_before(month), until=month, step=DAY,
    )  # fmt: skip
    causes = _Causes(scope, key, month, until)
    return {
        "month": f"{month:%Y-%m}",
        "scope": scope,
        "key": key,
        "totals": {name: _number(grid.total(key, name).total) for name in COUNTED},
        "objectives": [_told(one, grid, past, key, causes) for one in promised],
    }


def _told(
    one: Objective, grid: queries.Grid, past: queries.Grid, key: str, causes: _Causes
) -> dict[str, Any]:
    whole = len(grid.starts) * DAY
    value, seen = objectives.value_of(one, lambda name: grid.total(key, name), whole)
    if one.statistic == "growth":
        before = objectives.value_of(one, lambda name: past.total(key, name), whole)[0]
        value = deciding.growth(before, value)
    score = deciding.score(value, one.target, above=one.above, observations=seen)
    bad, events = (0.0, 0.0)
    if one.is_budgeted:
        bad, events = objectives.bad_of(one, lambda name: grid.total(key, name))
    allowed = deciding.allowed_share(one.target, above=one.above, statistic=one.statistic)
    return {
        "slug": one.slug, "title": one.title, "definition": one.definition,
        "target": one.target, "above": one.above,
        "metric": one.metric, "denominator": one.denominator,
        "statistic": one.statistic, "state": str(score.state), "value": _number(score.value),
        "observations": score.observations,
        "budget": {"allowed": _number(allowed * events), "used": _number(bad),
                   "left_ratio": _number(1 - bad / (allowed * events))}
        if events and allowed else None,
        "violations": _violations(one, grid, key, causes) if one.statistic in DAILY else [],
    }  # fmt: skip


def _violations(
    one: Objective, grid: queries.Grid, key: str, causes: _Causes
) -> list[dict[str, Any]]:
    found = []
    for place, start in enumerate(grid.starts):
        cells = grid.cells.get(key)
        cell = cells[place] if cells else {}

        def read(name: str, cell: dict[str, Stat] = cell) -> Stat:
            return cell.get(name, queries.EMPTY)

        value, seen = objectives.value_of(one, read, DAY)
        score = deciding.score(value, one.target, above=one.above, observations=seen)
        if score.state is deciding.ScoreState.MISSED:
            found.append({
                "date": start.date().isoformat(), "value": _number(value), "observations": seen,
                "causes": causes.of(start, one),
            })  # fmt: skip
    return found


class _Causes:
    """What went on at a day: incidents that were open, codes of errors, and whose it was."""

    def __init__(self, scope: str, key: str, since: datetime, until: datetime) -> None:
        about = Q(cause__in=["all", PLATFORM])
        for shared in SHARED:
            about |= Q(cause__startswith=shared)
        about |= Q(cause=f"{scope}:{key}")
        if scope == "domain":
            about |= Q(domain=key)
        elif scope == "client":
            about |= Q(cause__in=_used_by(key, since, until))
        rows = Incident.objects.filter(
            Q(resolved_at=None) | Q(resolved_at__gt=since), opened_at__lt=until
        ).exclude(state=Incident.State.MERGED)
        self._incidents = list(rows.filter(about) if scope != "all" else rows)
        grid = queries.grid(
            ("invocations",), scope=SCOPES[scope], since=since, until=until, step=DAY
        )
        self._days = {start: place for place, start in enumerate(grid.starts)}
        own = f"{key}{SEPARATOR}" if scope != "all" else ""
        self._scope, self._own = SCOPES[scope], own
        self._sharers = Sharers(scope, key, since, until)
        self._codes = {
            name.removeprefix(own): [stat.total for stat in grid.values(name, "invocations")]
            for name in grid.cells
            if name.startswith(own)
        }

    def of(self, day: datetime, missed: Objective) -> list[dict[str, str]]:
        """Incidents first, then codes with how many calls failed by them, then who had most."""
        found = [
            {"kind": "incident", "text": one.title, "href": f"/dashboard/incidents/{one.pk}"}
            for one in self._incidents
            if one.opened_at < day + DAY and (one.resolved_at is None or one.resolved_at > day)
        ][:5]
        shared = self._sharers.of(missed, day)
        place = self._days.get(day)
        if place is None:
            return found + shared
        counts = sorted(
            ((values[place], code) for code, values in self._codes.items() if values[place]),
            reverse=True,
        )
        return found + [
            {"kind": "errors", "text": f"{count:,.0f} × {code}",
             "href": rows_behind("invocations", self._scope, f"{self._own}{code}",
                                 since=day.isoformat(), until=(day + DAY).isoformat())}
            for count, code in counts[:TOP_CODES]
        ] + shared  # fmt: skip


def _used_by(client: str, since: datetime, until: datetime) -> list[str]:
    """What only some callers use, and this client did: causes of its own misses."""
    return [
        f"{scope}:{key}"
        for scope, metric in (("agent", "invocations"), ("workflow", "runs"))
        for key in queries.totals([metric], scope=scope, clients=[client], since=since, until=until)
    ]


def keep_month(*, now: datetime) -> int:
    """Keep last month's report of everything, every domain and every client; once each.

    Returns how many were made. What is kept does not change any more, however late data comes.
    """
    month = _before(now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    made = 0
    for scope, key in [("all", ""), *_keys(month, ("domain", "client"))]:
        if SlaReport.objects.filter(month=month.date(), scope=scope, key=key).exists():
            continue
        document = _document(month, scope, key, now)
        _, is_new = SlaReport.objects.get_or_create(
            month=month.date(), scope=scope, key=key, defaults={"document": document}
        )
        made += is_new
    logs.event(logger, "monitoring.sla.kept", month=f"{month:%Y-%m}", reports=made)
    return made


def _keys(month: datetime, scopes: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for scope in scopes:
        rows = queries.totals(["invocations"], scope=scope, since=month, until=next_month(month))
        found += [(scope, key) for key in sorted(rows)]
    return found


def as_csv(document: dict[str, Any]) -> str:
    """A row an objective, and a row a day on which it was missed."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["month", "scope", "key", "row", "objective", "definition", "target", "value",
                     "state", "observations", "budget_left_ratio", "date", "causes"])  # fmt: skip
    place = [document["month"], document["scope"], document["key"]]
    for one in document["objectives"]:
        about = [one["slug"], one["definition"], one["target"]]
        left = (one["budget"] or {}).get("left_ratio", "")
        writer.writerow([*place, "objective", *about, _text(one["value"]), one["state"],
                         one["observations"], left, "", ""])  # fmt: skip
        for miss in one["violations"]:
            causes = "; ".join(cause["text"] for cause in miss["causes"])
            writer.writerow([*place, "violation", *about, _text(miss["value"]), "missed",
                             miss["observations"], "", miss["date"], causes])  # fmt: skip
    return out.getvalue()


def months(now: datetime, count: int = 12) -> list[date]:
    """The first days of this month and those before it, newest first."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = []
    for _ in range(count):
        found.append(first.date())
        first = _before(first)
    return found


def next_month(month: datetime) -> datetime:
    return (month + 32 * DAY).replace(day=1)


def _before(month: datetime) -> datetime:
    return (month - DAY).replace(day=1)


def _number(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.9g}")


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"
