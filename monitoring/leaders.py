"""Who does best and who does worst, and how the learning goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from config import readable
from monitoring import addresses, figures
from monitoring.domain.rollups import Stat
from monitoring.figures import Figure
from monitoring.queries import EMPTY
from monitoring.sight import Sight
from monitoring.stretch import Stretch

METRICS = ("invocations", "invocation_errors", "invocation_duration_seconds", "cost_usd",
           "accuracy_ratio", "demo_invocations")  # fmt: skip
RANKED = ("invocation_duration_seconds",)
SHOWN = 5
# Fewer calls say little of an agent.
ENOUGH_CALLS = 20
# Who fails more often does not do well, however few others there are, nor does badly below it.
WELL_BELOW = 0.01


@dataclass(frozen=True, slots=True)
class Leader:
    """One agent's numbers over the stretch; ``calls_by_step`` for a sparkline."""

    key: str
    calls: float
    error_ratio: float | None
    mean_seconds: float | None
    cost_usd: float
    accuracy: float | None
    calls_by_step: list[float | None]
    page: str
    rows: str
    p95_seconds: float | None = None


def of_agents(sight: Sight, when: Stretch, client: str = "") -> dict[str, Any]:
    """``best``: few errors, then quick in the mean; ``worst``: most failed calls; ``called``: how
    many were. Percentiles are read of those that are shown.

    Agents that only a demo or a drill called are left out, unless there are no others.
    """
    found: list[Leader] = []
    shown_only: list[Leader] = []
    for key, stats in sight.totals(METRICS, when, scope="agent", ranked=()).items():
        calls, errors, seconds, cost, accuracy, demo = (stats.get(one, EMPTY) for one in METRICS)
        if not calls.total:
            continue
        (shown_only if demo.total >= calls.total else found).append(Leader(
            key, calls.total, errors.total / calls.total, seconds.mean,
            cost.total, accuracy.mean, [],
            addresses.page_of("agent", key),
            f"{addresses.rows_of('agent', key, client=client)}&range={when.name}&replays=no",
        ))  # fmt: skip
    called = len(found) + len(shown_only)
    found = found or shown_only
    enough = [one for one in found if one.calls >= ENOUGH_CALLS] or found
    best = [one for one in enough if (one.error_ratio or 0.0) <= WELL_BELOW]
    best.sort(key=lambda one: (one.error_ratio or 0.0, -(one.accuracy or 0.0),
                               one.mean_seconds or 0.0))  # fmt: skip
    worst = [one for one in enough if (one.error_ratio or 0.0) > WELL_BELOW]
    worst.sort(key=lambda one: -(one.error_ratio or 0.0) * one.calls)
    shown = _with_courses(sight, when, best=best[:SHOWN], worst=worst[:SHOWN])
    return {**shown, "called": called}


def _with_courses(sight: Sight, when: Stretch, **shown: list[Leader]) -> dict[str, list[Leader]]:
    """Those that are shown with their sparklines and p95; of the others nobody sees one."""
    keys = sorted({one.key for rows in shown.values() for one in rows})
    course = sight.courses("invocations", when, scope="agent", keys=keys) if keys else {}
    seconds = sight.totals(RANKED, when, scope="agent", keys=keys) if keys else {}

    def p95(key: str) -> float | None:
        return seconds.get(key, {}).get(RANKED[0], EMPTY).percentile(0.95)

    return {
        name: [
            replace(one, calls_by_step=course.get(one.key, []), p95_seconds=p95(one.key))
            for one in rows
        ]
        for name, rows in shown.items()
    }


def of_learning(sight: Sight, when: Stretch, client: str = "") -> list[Figure]:
    """What learning did in the stretch: deployed, accuracy, feedback, its own cost."""
    names = ("improvements_deployed", "accuracy_ratio", "feedback", "learning_cost_usd",
             "satisfaction_score")  # fmt: skip
    grid = sight.grid(names, when, ranked=())
    past = sight.grid(("accuracy_ratio",), when.before, ranked=())
    now, before = grid.total("", "accuracy_ratio").mean, past.total("", "accuracy_ratio").mean
    learning = "/dashboard/learning"

    def rows(metric: str) -> str:
        return addresses.rows_behind(metric, "all", "", client=client, range=when.name)

    return [
        _or_zero(figures.counted("Improvements deployed", grid.total("", names[0]),
                                 href=learning), learning),
        figures.averaged("Accuracy", grid.total("", "accuracy_ratio"), readable.percent,
                         note=figures.change(now, before, when.words), href=rows(names[1])),
        _or_zero(figures.counted("Feedback given", grid.total("", "feedback"),
                                 href=rows("feedback")), rows("feedback")),
        figures.averaged("Satisfaction", grid.total("", "satisfaction_score"),
                         lambda value: f"{value:.2f} of 5", href=rows(names[4])),
        figures.paid("Cost of learning", grid.total("", "learning_cost_usd"),
                     href="/dashboard/costs?by=learning"),
    ]  # fmt: skip


def _or_zero(figure: Figure, href: str) -> Figure:
    """Events that are counted whenever they happen: none is zero, not unknown."""
    return Figure(figure.label, "0", "0", figure.note, href) if figure.said == "–" else figure


def share(part: Stat, whole: Stat) -> float | None:
    """What part of a whole; None where there was no whole."""
    return part.total / whole.total if whole.total else None


def as_row(one: Leader) -> dict[str, Any]:
    """For an export."""
    return {"agent": one.key, "calls": one.calls, "error_ratio": one.error_ratio,
            "p95_seconds": one.p95_seconds, "cost_usd": one.cost_usd}  # fmt: skip
