"""Reading what was measured, from rollups only: as fast with ten million calls as with ten.

A stretch of time is covered by the largest windows that lie in it: days, hours, and minutes for
what is not closed yet. They merge exactly, so a percentile over any stretch is the real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from config.errors import InvalidInput
from monitoring.domain.metrics import METRICS, OF_ONE_CLIENT, SCOPES, SEPARATOR
from monitoring.domain.rollups import Stat, merge
from monitoring.models import Rollup, RollupWindow

Grain = Rollup.Grain
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LENGTH = {Grain.MINUTE: MINUTE, Grain.HOUR: HOUR, Grain.DAY: DAY}
# Points of one series; more than any screen is wide.
MOST_POINTS = 2000
# Days that one question may reach back.
LONGEST = timedelta(days=800)
EMPTY = Stat(0, 0.0)

_ROWS = """
SELECT start, key, {metrics} FROM monitoring_rollup
WHERE scope = %s AND ({windows}) {keys}
"""


@dataclass(frozen=True, slots=True)
class Point:
    """What one step of a series knows; ``stat`` is empty where nothing was measured."""

    start: datetime
    stat: Stat


def totals(
    metrics: Sequence[str],
    *,
    scope: str = "all",
    since: datetime,
    until: datetime,
    keys: Sequence[str] | None = None,
    prefix: str | None = None,
) -> dict[str, dict[str, Stat]]:
    """Each key's stats over the whole stretch: key → metric → Stat. Absent: nothing measured.

    ``keys`` chooses some, ``prefix`` those that begin so (``"<client>|"`` for one client's).
    Raises InvalidInput for an unknown metric or scope, or a stretch that is too long.
    """
    gathered: dict[str, dict[str, list[Stat]]] = {}
    for _, key, stats in _read(metrics, scope, since, until, keys, prefix):
        here = gathered.setdefault(key, {})
        for name, stat in stats.items():
            here.setdefault(name, []).append(stat)
    return {
        key: {name: merge(stats) for name, stats in found.items()}
        for key, found in gathered.items()
    }


def total(
    metric: str, *, scope: str = "all", key: str = "", since: datetime, until: datetime
) -> Stat:
    """One metric of one key over the whole stretch; empty where nothing was measured."""
    found = totals([metric], scope=scope, since=since, until=until, keys=[key])
    return found.get(key, {}).get(metric, EMPTY)


def series(
    metric: str,
    *,
    scope: str = "all",
    key: str = "",
    since: datetime,
    until: datetime,
    step: timedelta = HOUR,
) -> list[Point]:
    """One metric of one key in steps of a minute, hour or day, or several of them.

    Steps begin at multiples of ``step`` since midnight UTC. Raises InvalidInput as ``totals``
    does, and for more than ``MOST_POINTS`` points.
    """
    first, count, largest = _steps(since, until, step)
    steps: dict[datetime, list[Stat]] = {first + n * step: [] for n in range(count)}
    for start, _, stats in _read([metric], scope, first, until, [key], None, largest):
        if metric in stats:
            steps[_floor(start, step)].append(stats[metric])
    return [Point(start, merge(stats)) for start, stats in steps.items()]


@dataclass(frozen=True, slots=True)
class Grid:
    """Several metrics of several keys in the same steps: what a page of tables and plots needs.

    ``cells[key][n]`` is what was measured in the step that begins at ``starts[n]``.
    """

    starts: list[datetime]
    step: timedelta
    cells: dict[str, list[dict[str, Stat]]]

    def values(self, key: str, metric: str) -> list[Stat]:
        """One stat a step; empty ones where nothing was measured."""
        row = self.cells.get(key)
        return [cell.get(metric, EMPTY) for cell in row] if row else [EMPTY] * len(self.starts)

    def total(self, key: str, metric: str) -> Stat:
        """All steps of one key together."""
        return merge(stat for stat in self.values(key, metric) if stat.count)

    def everything(self, metric: str) -> Stat:
        """All steps of all keys together."""
        return merge(cell[metric] for row in self.cells.values() for cell in row if metric in cell)


def grid(
    metrics: Sequence[str],
    *,
    scope: str = "all",
    since: datetime,
    until: datetime,
    step: timedelta,
    keys: Sequence[str] | None = None,
    clients: Sequence[str] | None = None,
) -> Grid:
    """What was measured, by key and step, in one read. ``clients``: only theirs, put together.

    Raises InvalidInput as ``series`` does, and for a scope that is not kept for each client.
    """
    if clients is not None:
        if scope not in OF_ONE_CLIENT:
            raise InvalidInput("scope", scope, f"for one client: {', '.join(OF_ONE_CLIENT)}")
        scope = OF_ONE_CLIENT[scope]
    first, count, largest = _steps(since, until, step)
    gathered: dict[str, list[dict[str, list[Stat]]]] = {}
    of_clients = None
    if clients is not None and keys is not None:
        keys = [_joined(client, key) for client in clients for key in keys]
    elif clients is not None:
        of_clients = list(clients)
    rows = _read(metrics, scope, first, until, keys, None, largest, of_clients)
    for start, key, stats in rows:
        own = key.partition(SEPARATOR)[2] if clients is not None else key
        row = gathered.get(own)
        if row is None:
            row = gathered[own] = [{} for _ in range(count)]
        cell = row[(start - first) // step]
        for name, stat in stats.items():
            cell.setdefault(name, []).append(stat)
    cells = {
        key: [{name: merge(found) for name, found in cell.items()} for cell in row]
        for key, row in gathered.items()
    }
    return Grid([first + n * step for n in range(count)], step, cells)


def _joined(client: str, key: str) -> str:
    return f"{client}{SEPARATOR}{key}" if key else client


def _steps(since: datetime, until: datetime, step: timedelta) -> tuple[datetime, int, str]:
    """Where the first step begins, how many there are, and the largest windows that fit one."""
    if step % MINUTE or step < MINUTE:
        raise InvalidInput("step", step, "whole minutes, at least one")
    first = _floor(since, step)
    count = -((first - until) // step)
    if count > MOST_POINTS:
        raise InvalidInput("step", step, f"{count} points; at most {MOST_POINTS}, take wider steps")
    if step % DAY == timedelta():
        return first, count, Grain.DAY
    return first, count, Grain.HOUR if step % HOUR == timedelta() else Grain.MINUTE


def _read(
    metrics: Sequence[str],
    scope: str,
    since: datetime,
    until: datetime,
    keys: Sequence[str] | None,
    prefix: str | None,
    largest: str = Grain.DAY,
    clients: Sequence[str] | None = None,
) -> Iterator[tuple[datetime, str, dict[str, Stat]]]:
    _check(metrics, scope, since, until)
    windows, parameters = [], [scope]
    for grain, starts in _cover(since, until, largest):
        windows.append(f"(grain = '{grain}' AND start = ANY(%s))")
        parameters.append(starts)  # type: ignore[arg-type]
    if not windows:
        return
    condition = ""
    if keys is not None:
        condition = "AND key = ANY(%s)"
        parameters.append(list(keys))  # type: ignore[arg-type]
    elif prefix is not None:
        condition = "AND starts_with(key, %s)"
        parameters.append(prefix)
    elif clients is not None:
        condition = f"AND split_part(key, '{SEPARATOR}', 1) = ANY(%s)"
        parameters.append(list(clients))  # type: ignore[arg-type]
    # Only what is asked for leaves the database. Names were checked against the list.
    columns = ", ".join(f"stats->'{name}'" for name in metrics)
    columns = f"jsonb_build_array({columns})"
    statement = _ROWS.format(metrics=columns, windows=" OR ".join(windows), keys=condition)
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        for start, key, values in cursor.fetchall():
            read = json.loads(values) if isinstance(values, str) else values
            found = {
                name: Stat.from_json(value)
                for name, value in zip(metrics, read, strict=True)
                if value is not None
            }
            yield start, key, found


def _check(metrics: Sequence[str], scope: str, since: datetime, until: datetime) -> None:
    if scope not in SCOPES:
        raise InvalidInput("scope", scope, f"one of {', '.join(SCOPES)}")
    for name in metrics:
        if name not in METRICS:
            raise InvalidInput("metric", name, f"one of {', '.join(METRICS)}")
    if not since < until:
        raise InvalidInput("since", since.isoformat(), f"before until ({until.isoformat()})")
    if until - since > LONGEST:
        raise InvalidInput("since", since.isoformat(), f"at most {LONGEST.days} days before until")


def _cover(since: datetime, until: datetime, largest: str) -> list[tuple[str, list[datetime]]]:
    """The windows to read, grain by grain: closed days, closed hours, and minutes elsewhere."""
    rows = RollupWindow.objects.filter(start__gte=since - DAY, start__lt=until)
    clean: dict[str, set[datetime]] = {Grain.HOUR: set(), Grain.DAY: set()}
    open_hours = []
    wanted = [Grain.HOUR, Grain.DAY]
    for grain, start, dirty in rows.filter(grain__in=wanted).values_list(
        "grain", "start", "is_dirty"
    ):
        inside = start >= since and start + LENGTH[Grain(grain)] <= until
        if not dirty and inside:
            clean[grain].add(start)
        elif grain == Grain.HOUR and start > since - HOUR:
            open_hours.append(start)
    days = clean[Grain.DAY] if largest == Grain.DAY else set()
    hours = clean[Grain.HOUR] if largest != Grain.MINUTE else set()
    if largest == Grain.MINUTE:
        open_hours += clean[Grain.HOUR]
    hours = {hour for hour in hours if _floor(hour, DAY) not in days}
    minutes = [
        minute
        for hour in open_hours
        if _floor(hour, DAY) not in days
        for minute in (hour + n * MINUTE for n in range(60))
        if since <= minute < until
    ]
    chosen = ((Grain.DAY, days), (Grain.HOUR, hours), (Grain.MINUTE, minutes))
    return [(str(grain), sorted(starts)) for grain, starts in chosen if starts]


def _floor(at: datetime, step: timedelta) -> datetime:
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // step * step


def statistic(stat: Stat, name: str) -> float | None:
    """``total``, ``mean``, ``maximum`` or a percentile such as ``p95``; None without a value."""
    if not stat.count:
        return None
    if name == "total":
        return stat.total
    if name == "mean":
        return stat.mean
    if name == "maximum":
        return stat.sketch.maximum if stat.sketch is not None else None
    return stat.percentile(int(name.removeprefix("p")) / 100)
