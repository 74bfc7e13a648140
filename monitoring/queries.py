"""Reading what was measured, from rollups only: as fast with ten million calls as with ten.

A stretch of time is covered by the largest windows that lie in it: days, hours, and minutes for
what is not closed yet. They merge exactly, so a percentile over any stretch is the real one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from config.errors import InvalidInput
from monitoring.domain.metrics import METRICS, OF_ONE_CLIENT, SCOPES, SEPARATOR, Kind
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

# Windows of one key and step are put together by the database: fewer rows leave it, and what
# nobody asks for (other metrics, sketches of what is only added up) never does. A record of all
# metrics unpacks a row's document once; an arrow for each of them would unpack it each time.
_ROWS = """
SELECT {key}, {place}, {sums} {course}
FROM (SELECT key, start, m.* FROM monitoring_rollup, jsonb_to_record(stats) AS m({metrics})
      WHERE scope = %s AND ({windows}) {keys} OFFSET 0) r
GROUP BY 1, 2
"""
_STEP = "extract(epoch FROM start - %s)::int8 / %s"
_STRETCH = "width_bucket(start, %s::timestamptz[]) - 1"
_SUM = 'sum(("{0}"->>0)::int8)::int8, sum(("{0}"->>1)::float8)'
# Sums of one metric beside the totals, step by step: (steps, sums), in the order of the rows.
_COURSE = """
, array_agg({step}) FILTER (WHERE "{name}" IS NOT NULL),
array_agg(("{name}"->>1)::float8) FILTER (WHERE "{name}" IS NOT NULL)
"""
_SKETCHES = 'array_agg("{0}"->>2) FILTER (WHERE "{0}"->>2 IS NOT NULL)'
_BEHIND = f"strpos(key, '{SEPARATOR}')"
_OWN = f"CASE {_BEHIND} WHEN 0 THEN '' ELSE substr(key, {_BEHIND} + 1) END"
_Cover = list[tuple[str, list[datetime]]]
_seen: ContextVar[dict[Any, _Cover] | None] = ContextVar("_seen", default=None)


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
    clients: Sequence[str] | None = None,
    ranked: Sequence[str] | None = None,
) -> dict[str, dict[str, Stat]]:
    """Each key's stats over the whole stretch: key → metric → Stat. Absent: nothing measured.

    ``keys`` chooses some, ``prefix`` those that begin so (``"<client>|"`` for one client's);
    ``clients``: only theirs, put together, with ``prefix`` behind the client; ``ranked``: the
    metrics whose percentiles are wanted, all of them unless given. Raises InvalidInput for an
    unknown metric or scope, or a stretch that is too long.
    """
    chosen = _Chosen.of(scope, keys=keys, prefix=prefix, clients=clients)
    rows = _read(metrics, chosen, since, until, since, until - since + MINUTE, ranked=ranked)
    return {key: stats for _, key, stats in rows if stats}


def courses(
    metric: str, *, scope: str = "all", since: datetime, until: datetime, step: timedelta,
    keys: Sequence[str] | None = None, clients: Sequence[str] | None = None,
) -> dict[str, list[float | None]]:  # fmt: skip
    """Each key's sum by step, None where nothing was measured: for sparklines.

    ``keys`` and ``clients`` choose as in ``totals``. Raises InvalidInput as ``series`` does.
    """
    first, count, largest = _steps(since, until, step)
    chosen = _Chosen.of(scope, keys=keys, clients=clients)
    found: dict[str, list[float | None]] = {}
    for place, key, stats in _read([metric], chosen, first, until, first, step, largest, ranked=()):
        if metric in stats and stats[metric].count:
            found.setdefault(key, [None] * count)[place] = stats[metric].total
    return found


def with_course(
    metrics: Sequence[str], of: str, *, scope: str, since: datetime, until: datetime,
    step: timedelta, clients: Sequence[str] | None = None, ranked: Sequence[str] | None = None,
) -> tuple[dict[str, dict[str, Stat]], dict[str, list[float | None]]]:  # fmt: skip
    """``totals``, and ``courses`` of one of the metrics: what a table with sparklines needs.

    In one read, unless the totals have larger windows to be read from: then the course is told by
    day, whatever ``step`` is, as a sparkline is a few letters wide and hours are 24 times as many
    rows. Raises InvalidInput as ``series`` does.
    """
    first, count, largest = _steps(since, until, step)
    if largest != Grain.DAY and until - since > 2 * DAY:
        whole = totals(metrics, scope=scope, since=since, until=until, clients=clients,
                       ranked=ranked)  # fmt: skip
        return whole, _by_day(of, _Chosen.of(scope, clients=clients), first, until)
    chosen = _Chosen.of(scope, clients=clients)
    found: dict[str, dict[str, Stat]] = {}
    course: dict[str, list[float | None]] = {}
    rows = _rows(metrics, chosen, first, until, first, until - first + MINUTE, largest,
                 ranked=ranked, course=(of, step))  # fmt: skip
    for _, key, stats, (places, sums) in rows:
        if stats:
            found[key] = stats
        for place, added in zip(places or (), sums or (), strict=True):
            row = course.setdefault(key, [None] * count)
            row[place] = (row[place] or 0.0) + added
    return found, course


def _by_day(
    metric: str, chosen: _Chosen, since: datetime, until: datetime
) -> dict[str, list[float | None]]:
    """Each key's sum by day, of the first and the last what lies between the two."""
    first, count, largest = _steps(since, until, DAY)
    found: dict[str, list[float | None]] = {}
    for place, key, stats in _read([metric], chosen, since, until, first, DAY, largest, ranked=()):
        if metric in stats and stats[metric].count:
            found.setdefault(key, [None] * count)[place] = stats[metric].total
    return found


def total(
    metric: str, *, scope: str = "all", key: str = "", since: datetime, until: datetime
) -> Stat:
    """One metric of one key over the whole stretch; empty where nothing was measured."""
    found = totals([metric], scope=scope, since=since, until=until, keys=[key])
    return found.get(key, {}).get(metric, EMPTY)


def behind(
    metrics: Sequence[str], ends: Sequence[timedelta], *, until: datetime, scope: str = "all",
    keys: Sequence[str] | None = None,
) -> dict[timedelta, dict[str, dict[str, Stat]]]:  # fmt: skip
    """For each of ``ends`` what ``totals`` says of the time from so long before ``until``.

    One read for all of them: they lie in one another. Raises InvalidInput as ``totals`` does.
    """
    edges = sorted({until - end for end in ends})
    chosen = _Chosen.of(scope, keys=keys)
    parts: list[dict[str, dict[str, Stat]]] = [{} for _ in edges]
    for place, key, stats in _read(metrics, chosen, edges[0], until, edges=edges):
        parts[place][key] = stats
    found: dict[timedelta, dict[str, dict[str, Stat]]] = {}
    for place, edge in enumerate(edges):
        inside = parts[place:]
        found[until - edge] = {
            key: {
                name: merge(one[key][name] for one in inside if name in one.get(key, {}))
                for name in {name for one in inside for name in one.get(key, {})}
            }
            for key in {key for one in inside for key in one}
        }
    return found


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
    found = [EMPTY] * count
    chosen = _Chosen.of(scope, keys=[key])
    for place, _, stats in _read([metric], chosen, first, until, first, step, largest):
        found[place] = stats.get(metric, EMPTY)
    return [Point(first + n * step, stat) for n, stat in enumerate(found)]


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
    ranked: Sequence[str] | None = None,
) -> Grid:
    """What was measured, by key and step, in one read. ``clients``: only theirs, put together.

    ``ranked``: the metrics whose percentiles are wanted, all of them unless given. Raises
    InvalidInput as ``series`` does, and for a scope that is not kept for each client.
    """
    first, count, largest = _steps(since, until, step)
    chosen = _Chosen.of(scope, keys=keys, clients=clients)
    cells: dict[str, list[dict[str, Stat]]] = {}
    rows = _read(metrics, chosen, first, until, first, step, largest, ranked=ranked)
    for place, key, stats in rows:
        row = cells.get(key)
        if row is None:
            row = cells[key] = [{} for _ in range(count)]
        row[place] = stats
    return Grid([first + n * step for n in range(count)], step, cells)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which rows of a scope; ``own``: keys are told without the client that they begin with."""

    scope: str
    condition: str = ""
    given: tuple[list[str] | str, ...] = ()
    own: bool = False

    @classmethod
    def of(
        cls, scope: str, *, keys: Sequence[str] | None = None, prefix: str | None = None,
        clients: Sequence[str] | None = None,
    ) -> _Chosen:  # fmt: skip
        """Raises InvalidInput where clients are given of whom the scope is not kept."""
        own = clients is not None
        if clients is not None:
            if scope not in OF_ONE_CLIENT:
                raise InvalidInput("scope", scope, f"for one client: {', '.join(OF_ONE_CLIENT)}")
            scope = OF_ONE_CLIENT[scope]
            if keys is not None:
                keys = [_joined(client, key) for client in clients for key in keys]
            elif prefix is not None:
                begins = [_joined(client, prefix) for client in clients]
                return cls(scope, "AND key ^@ ANY(%s)", (begins,), own)
            else:
                condition = f"AND split_part(key, '{SEPARATOR}', 1) = ANY(%s)"
                return cls(scope, condition, (list(clients),), own)
        if keys is not None:
            return cls(scope, "AND key = ANY(%s)", (list(keys),), own)
        if prefix is not None:
            return cls(scope, "AND starts_with(key, %s)", (prefix,), own)
        return cls(scope)


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


def _read(*given: Any, **named: Any) -> Iterator[tuple[int, str, dict[str, Stat]]]:
    """``_rows`` without a course."""
    return ((place, key, stats) for place, key, stats, _ in _rows(*given, **named))


def _rows(
    metrics: Sequence[str],
    chosen: _Chosen,
    since: datetime,
    until: datetime,
    first: datetime | None = None,
    step: timedelta = DAY,
    largest: str = Grain.DAY,
    *,
    ranked: Sequence[str] | None = None,
    edges: Sequence[datetime] = (),
    course: tuple[str, timedelta] | None = None,
) -> Iterator[tuple[int, str, dict[str, Stat], list[Any]]]:
    """(number of the step from ``first``, key, metric → Stat, course), for each that has any.

    ``edges`` in the place of steps: where each stretch begins, the first at ``since``;
    ``ranked``: of which metrics sketches are read too, all of them unless given; ``course``: a
    metric and steps from ``first`` of which its sums are told beside: [numbers, sums].
    """
    _check(metrics, chosen.scope, since, until)
    windows: list[str] = []
    starts: list[Any] = []
    for grain, begun in _cover(since, until, largest, edges):
        windows.append(f"(grain = '{grain}' AND start = ANY(%s))")
        starts.append(begun)
    if not windows:
        return
    ranked = [name for name in (metrics if ranked is None else ranked)
              if METRICS[name].kind is Kind.DISTRIBUTION]  # fmt: skip
    beside: list[Any] = [first, int(course[1].total_seconds())] if course else []
    statement = _ROWS.format(
        key=_OWN if chosen.own else "key", place=_STRETCH if edges else _STEP,
        sums=", ".join(f"{_SUM}, {_SKETCHES if name in ranked else 'NULL'}".format(name)
                       for name in metrics),
        course=_COURSE.format(step=_STEP, name=course[0]) if course else "",
        # Names were checked against the list.
        metrics=", ".join(f'"{name}" jsonb' for name in dict.fromkeys(metrics)),
        windows=" OR ".join(windows), keys=chosen.condition,
    )  # fmt: skip
    places: list[Any] = [list(edges)] if edges else [first, int(step.total_seconds())]
    given = [*places, *beside, chosen.scope, *starts, *chosen.given]
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        for key, place, *values in cursor.fetchall():
            yield place, key, {
                name: Stat(values[3 * n], values[3 * n + 1], None, tuple(values[3 * n + 2] or ()))
                for n, name in enumerate(metrics)
                if values[3 * n] is not None
            }, values[3 * len(metrics) :]  # fmt: skip


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


@contextmanager
def one_look() -> Iterator[None]:
    """Which windows are closed is looked up once in here for each stretch, however often read.

    For many reads of the same stretches within moments, such as a pass over all rules: a window
    that is opened again meanwhile is read as it stood at the first of them.
    """
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def _cover(
    since: datetime, until: datetime, largest: str, edges: Sequence[datetime] = ()
) -> _Cover:
    """The windows to read, grain by grain: closed days, closed hours, and minutes elsewhere.

    None of them reaches over one of ``edges``.
    """
    seen, stretch = _seen.get(), (since, until, largest, tuple(edges))
    if seen is None:
        return _looked_up(since, until, largest, edges)
    if stretch not in seen:
        seen[stretch] = _looked_up(since, until, largest, edges)
    return seen[stretch]


def _looked_up(since: datetime, until: datetime, largest: str, edges: Sequence[datetime]) -> _Cover:
    windows = RollupWindow.objects.filter(start__gte=since - DAY, start__lt=until)

    def inside(start: datetime, length: timedelta) -> bool:
        end = start + length
        return start >= since and end <= until and not any(start < e < end for e in edges)

    days: set[datetime] = set()
    if largest == Grain.DAY:
        closed = windows.filter(grain=Grain.DAY, is_dirty=False).values_list("start", flat=True)
        days = {start for start in closed if inside(start, DAY)}
    hours, open_hours = [], []
    of_hours = windows.filter(_between(days, since, until), grain=Grain.HOUR)
    for start, dirty in of_hours.values_list("start", "is_dirty"):
        if _floor(start, DAY) in days:
            continue
        if not dirty and largest != Grain.MINUTE and inside(start, HOUR):
            hours.append(start)
        elif start > since - HOUR:
            open_hours.append(start)
    minutes = [
        minute
        for hour in open_hours
        for minute in (hour + n * MINUTE for n in range(60))
        if since <= minute < until
    ]
    chosen = ((Grain.DAY, days), (Grain.HOUR, hours), (Grain.MINUTE, minutes))
    return [(str(grain), sorted(starts)) for grain, starts in chosen if starts]


def _between(days: set[datetime], since: datetime, until: datetime) -> Q:
    """Starts of windows before, between and behind ``days``: what those do not cover."""
    gaps, begin = Q(pk__in=[]), since - DAY
    for day in [*sorted(days), until]:
        if begin < day:
            gaps |= Q(start__gte=begin, start__lt=day)
        begin = day + DAY
    return gaps


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
