"""What was promised and how it stands: scorecard, error budgets, burn. All from rollups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitoring import queries
from monitoring.domain import objectives as deciding
from monitoring.domain.objectives import BURN_WINDOWS, Budget, Burn, Score
from monitoring.domain.rollups import Stat, merge
from monitoring.models import Objective

DAY, HOUR, MINUTE, WEEK = (
    timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(days=7),
)  # fmt: skip
# A metric's stat over some stretch.
Read = Callable[[str], Stat]


@dataclass(frozen=True, slots=True)
class Card:
    """One objective as it stands. ``score.value`` is None where nothing was measured."""

    objective: Objective
    score: Score
    budget: Budget | None
    days: tuple[float | None, ...] = ()

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


def active() -> list[Objective]:
    """All objectives that are watched."""
    return list(Objective.objects.filter(is_active=True))


def names_of(objectives: Sequence[Objective]) -> list[str]:
    """The metrics that they are made of."""
    found = {name for one in objectives for name in (one.metric, one.denominator) if name}
    return sorted(found)


def scorecard(*, now: datetime, scope: str = "all", key: str = "") -> list[Card]:
    """Every active objective for everything, or for one key of a scope; two reads in all."""
    objectives = active()
    if not objectives:
        return []
    longest = max(timedelta(seconds=one.window_seconds) for one in objectives)
    grid = queries.grid(
        names_of(objectives), scope=scope, keys=[key], since=now - 2 * longest, until=now + MINUTE,
        step=DAY,
    )  # fmt: skip
    hour = queries.totals(
        names_of([one for one in objectives if is_budgeted(one)]) or ["invocations"],
        scope=scope, keys=[key], since=now - HOUR, until=now + MINUTE,
    ).get(key, {})  # fmt: skip
    return [_card(one, grid, key, now, hour) for one in objectives]


def _card(
    one: Objective, grid: queries.Grid, key: str, now: datetime, hour: dict[str, Stat]
) -> Card:
    days = max(one.window_seconds // 86_400, 1)

    def over(first: int, last: int | None) -> Read:
        return lambda name: merge(
            stat for stat in grid.values(key, name)[first:last] if stat.count
        )  # fmt: skip

    now_read, past_read = over(-days, None), over(-2 * days, -days)
    value, seen = value_of(one, now_read, timedelta(days=days))
    if one.statistic == "growth":
        value = deciding.growth(value_of(one, past_read, timedelta(days=days))[0], value)
    score = deciding.score(value, one.target, above=one.above, observations=seen)
    course = tuple(
        value_of(one, over(n, n + 1), DAY)[0]
        for n in range(len(grid.starts) - days, len(grid.starts))
    )
    return Card(one, score, _budget(one, now_read, hour), course)


def is_budgeted(one: Objective) -> bool:
    """Whether single events can be told good from bad: a share, or a percentile."""
    return one.is_budgeted


def _budget(one: Objective, read: Read, hour: dict[str, Stat]) -> Budget | None:
    if not is_budgeted(one):
        return None
    bad, whole = bad_of(one, read)
    if not whole:
        return None
    recent_bad, recent = bad_of(one, lambda name: hour.get(name, queries.EMPTY))
    return deciding.budget(
        deciding.allowed_share(one.target, above=one.above, statistic=one.statistic),
        bad=bad, whole=whole, recent_bad=recent_bad, recent=recent,
    )  # fmt: skip


def bad_of(one: Objective, read: Read) -> tuple[float, float]:
    """Bad events and all events: failed ones, or those slower than the target."""
    stat = read(one.metric)
    if one.denominator:
        return stat.total, read(one.denominator).total
    if stat.sketch is None:
        return 0.0, 0.0
    sketch = stat.sketch
    share = sketch.share_below(one.target) if one.above else sketch.share_above(one.target)
    return share * stat.count, float(stat.count)


def value_of(one: Objective, read: Read, window: timedelta) -> tuple[float | None, int]:
    """The objective's figure and how many observations it comes from."""
    stat = read(one.metric)
    if one.denominator:
        whole = read(one.denominator).total
        share = stat.total / whole if whole else None
        if share is None:
            return None, 0
        return (1 - share if one.statistic == "good_ratio" else share), int(whole)
    if one.statistic == "weekly":
        return (stat.total / (window / WEEK) if stat.count else None), stat.count
    name = "mean" if one.statistic == "growth" else one.statistic
    return queries.statistic(stat, name), stat.count


def burns(
    objectives: Sequence[Objective], *, now: datetime, scope: str = "all", key: str = ""
) -> list[list[Burn]]:
    """How fast each objective's error budget burns, in every pair of windows; one read in all."""
    if not objectives:
        return []
    ends = {length for window in BURN_WINDOWS for length in (window.long, window.short)}
    found = queries.behind(
        names_of(objectives), [end + MINUTE for end in ends], until=now + MINUTE, scope=scope,
        keys=[key],
    )  # fmt: skip

    def read(one: Objective, back: timedelta) -> tuple[float, float]:
        stats = found[back + MINUTE].get(key, {})
        return bad_of(one, lambda name: stats.get(name, queries.EMPTY))

    return [
        [
            deciding.burn(
                window,
                deciding.allowed_share(one.target, above=one.above, statistic=one.statistic),
                long=read(one, window.long),
                short=read(one, window.short),
            )
            for window in BURN_WINDOWS
        ]
        for one in objectives
    ]
