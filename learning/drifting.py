"""Drift of each version in use, of what it is asked and how it answers: a day beside four weeks.

The reference leaves out experiments, incidents and demonstrations. A drift is confirmed by two
windows in a row, so one odd day wakes nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from agents import evidence
from agents.evidence import Measured
from learning import said
from learning.domain.adwin import Adwin
from learning.domain.drift import Drift, Streak, categorical_drift, numeric_drift, text_drift
from learning.models import DriftWindow
from monitoring import periods
from monitoring import services as monitoring
from monitoring.services import Measurement

WINDOW = timedelta(days=1)
REFERENCE = timedelta(days=28)
# The sizes that docs/reference/drift.md measured false alarms and power at.
REFERENCE_ROWS, CURRENT_ROWS = 500, 200
# Windows in a row.
NEEDED = 2
ERROR_ROWS = 5_000
# Fewer calls in a stream say nothing about a change of its mean.
MIN_STREAM = 60
MOST_LISTED = 500

Period = tuple[datetime, datetime]

NUMBERS: Mapping[str, Callable[[Measured], float]] = {
    "latency_seconds": lambda m: m.duration_seconds,
    "cost_usd": lambda m: m.cost_usd,
    "input_tokens": lambda m: float(m.input_tokens),
    "output_tokens": lambda m: float(m.output_tokens),
    "tool_calls": lambda m: float(m.tool_calls),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One comparison of one metric, with both windows' means where it has one."""

    metric: str
    drift: Drift
    reference_mean: float | None = None
    current_mean: float | None = None


def find_drift(slug: str, until: datetime, *, incidents: Sequence[Period] = ()) -> dict[str, int]:
    """Compare every version of the agent that answered in the day before ``until``.

    ``incidents`` are left out of the reference. Writes one row a version and metric, once, and
    measures the largest confirmed effect, for the alert; returns how many were compared, drifted
    and confirmed.
    """
    since = until - WINDOW
    compared = drifted = confirmed = 0
    worst = 0.0
    for agent, version_id, number, _ in evidence.versions_in_use(since, until):
        if agent != slug:
            continue
        for seen in _comparisons(version_id, since, until, incidents):
            row = _store(slug, version_id, number, seen, since, until)
            compared += 1
            drifted += bool(row.drifted)
            confirmed += row.is_confirmed
            worst = max(worst, abs(row.effect or 0.0) if row.is_confirmed else 0.0)
    if compared:  # 0 too: that a drift has ended is news for its alert
        monitoring.record([Measurement({"drift_score": worst}, {"agent": slug})])
    return {"compared": compared, "drifted": drifted, "confirmed": confirmed}


def _comparisons(
    version_id: UUID, since: datetime, until: datetime, incidents: Sequence[Period]
) -> Iterator[Seen]:
    start = since - REFERENCE
    before = [
        m
        for m in evidence.measured(version_id, start, since, limit=4 * REFERENCE_ROWS)
        if not _within(m.at, incidents)
    ]
    # Spread over the whole reference, or its last hours would stand for four weeks.
    before = _thinned(before, REFERENCE_ROWS)
    now = _thinned(
        evidence.measured(version_id, since, until, limit=4 * CURRENT_ROWS, experiments=True),
        CURRENT_ROWS,
    )
    good, good_now = ([m for m in side if not m.is_bad] for side in (before, now))
    for metric, value in NUMBERS.items():
        yield _numeric(metric, [value(m) for m in good], [value(m) for m in good_now])
    yield Seen("model", categorical_drift([m.model for m in good], [m.model for m in good_now]))
    texts, texts_now = ([m.text for m in side if m.text] for side in (good, good_now))
    yield Seen("output_text", text_drift(texts, texts_now))
    # What is asked says nothing of how it is answered: calls that failed count too.
    asked = evidence.asked_texts([m.id for m in (*before, *now)])
    yield Seen(
        "input_text",
        text_drift(*([asked[m.id] for m in side if m.id in asked] for side in (before, now))),
    )
    yield _errors(version_id, since, until)
    scores = (
        said.scores_of(version_id, start, since),
        said.scores_of(version_id, since, until),
    )
    for name in sorted(scores[0].keys() & scores[1].keys()):
        yield _numeric(f"score:{name}", scores[0][name], scores[1][name])


def _numeric(metric: str, before: Sequence[float], now: Sequence[float]) -> Seen:
    return Seen(metric, numeric_drift(before, now), _mean(before), _mean(now))


def _errors(version_id: UUID, since: datetime, until: datetime) -> Seen:
    """The stream of errors, value by value, by ADWIN: has its mean changed in the last day?"""
    stream = evidence.measured(
        version_id, since - REFERENCE, until, limit=ERROR_ROWS, experiments=True
    )
    window, changed = Adwin(), False
    before: list[float] = []
    now: list[float] = []
    for call in stream:
        value = float(call.is_bad)
        (now if call.at >= since else before).append(value)
        changed = (window.update(value) and call.at >= since) or changed
    enough = len(stream) >= MIN_STREAM
    effect = abs(_mean(now) - _mean(before)) if now and before else 0.0
    rows = (len(before), len(now))
    return Seen(
        "errors", Drift("adwin", None, effect, "difference", rows, changed if enough else None),
        _mean(before) if before else None, _mean(now) if now else None,
    )  # fmt: skip


@transaction.atomic
def _store(
    slug: str, version_id: UUID, number: int, seen: Seen, since: datetime, until: datetime
) -> DriftWindow:
    last = (
        DriftWindow.objects.filter(
            version_id=version_id, metric=seen.metric, window_end__lt=until,
            window_end__gte=until - NEEDED * WINDOW - WINDOW,
        )
        .order_by("-window_end")
        .first()
    )  # fmt: skip
    drift = seen.drift
    # ADWIN remembers a change itself: what it reports needs no second window.
    needed = 1 if drift.test == "adwin" else NEEDED
    streak = Streak(needed, last.streak if last else 0).after(drift)
    row, _ = DriftWindow.objects.update_or_create(
        version_id=version_id,
        metric=seen.metric,
        window_end=until,
        defaults={
            "agent_slug": slug, "version_number": number, "window_start": since,
            "reference_start": since - REFERENCE, "test": drift.test, "p_value": drift.p_value,
            "effect": drift.effect, "effect_name": drift.effect_name,
            "reference_rows": drift.rows[0], "current_rows": drift.rows[1],
            "reference_mean": seen.reference_mean, "current_mean": seen.current_mean,
            "drifted": drift.drifted, "streak": streak.length,
            "is_confirmed": bool(drift.drifted) and streak.confirmed,
        },
    )  # fmt: skip
    return row


def incident_periods(until: datetime) -> list[Period]:
    """Incidents that touched the reference or the window before ``until``."""
    return periods.incident_periods(until - WINDOW - REFERENCE, until)


def listed(
    *, since: datetime, agent: str = "", confirmed: bool = False, metric: str = "",
    drifted: bool = False,
) -> list[DriftWindow]:  # fmt: skip
    """Windows that ended since then, newest first."""
    rows = DriftWindow.objects.filter(window_end__gte=since)
    if agent:
        rows = rows.filter(agent_slug=agent)
    if metric:
        rows = rows.filter(metric=metric)
    if drifted:
        rows = rows.filter(drifted=True)
    if confirmed:
        rows = rows.filter(is_confirmed=True)
    return list(rows[:MOST_LISTED])


def _thinned(rows: Sequence[Measured], most: int) -> list[Measured]:
    if len(rows) <= most:
        return list(rows)
    return [rows[int(place * len(rows) / most)] for place in range(most)]


def _within(at: datetime, periods: Sequence[Period]) -> bool:
    return any(start <= at < end for start, end in periods)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
