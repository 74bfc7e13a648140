"""What was promised and how it stands: scorecard, error budgets, burn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitoring import queries
from monitoring.domain import objectives as deciding
from monitoring.domain.objectives import Budget, Score
from monitoring.models import Objective

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Card:
    """One objective as it stands. ``score.value`` is None where nothing was measured."""

    objective: Objective
    score: Score
    budget: Budget | None

    def as_dict(self) -> dict[str, Any]:
        one, budget = self.objective, self.budget
        return {
            "slug": one.slug,
            "title": one.title,
            "definition": one.definition,
            "target": one.target,
            "above": one.above,
            "window_days": one.window_seconds / 86_400,
            "state": self.score.state,
            "value": self.score.value,
            "observations": self.score.observations,
            "error_budget": budget
            and {
                "allowed": budget.allowed,
                "used": budget.used,
                "left_ratio": budget.left_ratio,
                "burn_rate": budget.burn_rate,
            },
        }


def scorecard(*, now: datetime, scope: str = "all", key: str = "") -> list[Card]:
    """Every active objective for everything, or for one key of a scope."""
    return [_card(one, now, scope, key) for one in Objective.objects.filter(is_active=True)]


def _card(one: Objective, now: datetime, scope: str, key: str) -> Card:
    window = timedelta(seconds=one.window_seconds)
    value, seen = _value(one, scope, key, now - window, now)
    if one.statistic == "growth":
        before, _ = _value(one, scope, key, now - 2 * window, now - window)
        value = deciding.growth(before, value)
    score = deciding.score(value, one.target, above=one.above, observations=seen)
    budget = None
    if one.is_budgeted and seen:
        bad, whole = _bad(one, scope, key, now - window, now)
        recent_bad, recent = _bad(one, scope, key, now - timedelta(hours=1), now)
        allowed = 1 - one.target if one.above else one.target
        budget = deciding.budget(
            allowed, bad=bad, whole=whole, recent_bad=recent_bad, recent=recent
        )
    return Card(one, score, budget)


def _bad(
    one: Objective, scope: str, key: str, since: datetime, until: datetime
) -> tuple[float, float]:
    found = queries.totals(
        [one.metric, one.denominator], scope=scope, keys=[key], since=since,
        until=until + timedelta(minutes=1),
    ).get(key, {})  # fmt: skip
    empty = queries.EMPTY
    return found.get(one.metric, empty).total, found.get(one.denominator, empty).total


def _value(
    one: Objective, scope: str, key: str, since: datetime, until: datetime
) -> tuple[float | None, int]:
    """The objective's figure and how many observations it comes from."""
    if one.denominator:
        bad, whole = _bad(one, scope, key, since, until)
        share = bad / whole if whole else None
        good = one.statistic == "good_ratio" and share is not None
        return (1 - share if good else share), int(whole)  # type: ignore[operator]
    stat = queries.total(
        one.metric, scope=scope, key=key, since=since, until=until + timedelta(minutes=1)
    )
    if one.statistic == "weekly":
        weeks = (until - since) / WEEK
        return (stat.total / weeks if stat.count else None), stat.count
    name = "mean" if one.statistic == "growth" else one.statistic
    return queries.statistic(stat, name), stat.count
