"""Who made an objective miss a day: the agents, or the workflows, with most of what was bad."""

from __future__ import annotations

from datetime import datetime, timedelta

from config import readable
from monitoring import objectives, queries
from monitoring.addresses import rows_behind
from monitoring.domain.metrics import METRICS, Kind
from monitoring.domain.rollups import Stat
from monitoring.models import Objective

DAY = timedelta(days=1)
SHOWN = 2
# What is measured of runs and steps names its workflow; everything else its agent.
OF_RUNS = ("run", "step", "approval", "rework", "automated", "queue_wait")
# Whose report can name them: what is kept of a domain does not say by which of its agents.
NAMED = ("all", "client")


class Sharers:
    """Those who had a part in the misses of one report. Figures are read with the first miss."""

    def __init__(self, scope: str, key: str, since: datetime, until: datetime) -> None:
        self._client = key if scope == "client" else ""
        self._is_named, self._since, self._until = scope in NAMED, since, until
        self._read: dict[tuple[str, str, str], queries.Grid] = {}

    def of(self, one: Objective, day: datetime) -> list[dict[str, str]]:
        """The causes of a miss: whose events these were, most bad ones first, with their rows."""
        if not self._is_named:
            return []
        by = "workflow" if (one.denominator or one.metric).startswith(OF_RUNS) else "agent"
        grid = self._grid(one, by)
        place = (day - grid.starts[0]) // DAY
        found = []
        for key, cells in grid.cells.items():
            bad, whole = _bad_of(one, cells[place])
            if bad >= 1:
                found.append((bad, key, whole))
        found.sort(reverse=True)
        return [
            {"kind": by, "text": f"{key}: {_said(one, bad, whole)}",
             "href": self._rows(one, by, key, day)}
            for bad, key, whole in found[:SHOWN]
        ]  # fmt: skip

    def _grid(self, one: Objective, by: str) -> queries.Grid:
        place = (by, one.metric, one.denominator)
        if place not in self._read:
            names = [name for name in (one.metric, one.denominator) if name]
            ranked = [name for name in names if METRICS[name].kind is Kind.DISTRIBUTION]
            self._read[place] = queries.grid(
                names, scope=by, since=self._since, until=self._until, step=DAY, ranked=ranked,
                clients=[self._client] if self._client else None,
            )  # fmt: skip
        return self._read[place]

    def _rows(self, one: Objective, by: str, key: str, day: datetime) -> str:
        more = {"sort": "slowest"} if one.metric == "invocation_duration_seconds" else {}
        metric = one.metric
        if _counts_good_ones(one):
            metric, more = one.denominator, {"cached": "0"} if metric == "cache_hits" else {}
        return rows_behind(metric, by, key, client=self._client, since=day.isoformat(),
                           until=(day + DAY).isoformat(), **more)  # fmt: skip


def _counts_good_ones(one: Objective) -> bool:
    return bool(one.above and one.statistic == "ratio")


def _bad_of(one: Objective, cell: dict[str, Stat]) -> tuple[float, float]:
    """How many events of a day were not as promised, and of how many."""

    def read(name: str) -> Stat:
        return cell.get(name, queries.EMPTY)

    bad, whole = objectives.bad_of(one, read)
    if _counts_good_ones(one):
        bad = whole - bad
    return bad, whole


def _said(one: Objective, bad: float, whole: float) -> str:
    words = f"{bad:,.0f} of {whole:,.0f}"
    if one.denominator:
        return words
    limit = readable.duration(one.target) if one.metric.endswith("_seconds") else f"{one.target:g}"
    return f"{words} {'under' if one.above else 'over'} {limit}"
