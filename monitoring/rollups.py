"""Folding measurements into minutes, hours and days.

Every window is made anew from what lies below it, in one transaction, so doing it twice changes
nothing. A measurement belongs to the minute in which it happened, however late it came: arrivals
are found by their id (its time is that of writing), the windows they touch by their own time.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from config import logs
from config.partitions import drop_months_before, ensure_months, first_id, time_of
from config.statements import execute
from monitoring.domain import rollups as folding
from monitoring.domain.rollups import Windows
from monitoring.models import AlertRule, Rollup, RollupMark, RollupWindow

logger = logging.getLogger(__name__)
Grain = Rollup.Grain
MARK = "measurements"
TOTALS = "totals"
LOCK = 0x524F4C4C  # "ROLL"
APP = "monitoring"
PARTITIONED = ("monitoring_measurement", "monitoring_auditentry", "monitoring_securityevent")
# What Prometheus sees, by scope. No client and no user: its reader is not theirs.
EXPORTED = ("agent", "workflow", "endpoint", "agent_code", "queue")
# Days this old are taken as final by the totals.
SETTLED = timedelta(days=3)
# A row may become visible this long after its id was made: the longest transaction that records.
OVERLAP = timedelta(seconds=90)
# Once an hour arrivals of this long are looked through again, whatever the overlap missed.
LONG_OVERLAP = timedelta(hours=2)
SLICE = timedelta(minutes=30)
# One pass ends after this, so that a long pause is caught up in several.
BUDGET_SECONDS = 40.0
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Raw rows go by whole months; what is older than this can't be folded again and comes too late.
KEEP_RAW = timedelta(days=45)
TOO_LATE = timedelta(days=40)
KEEP_MINUTES = timedelta(hours=48)
# Of what anomalies are looked for in: four days in steps of five minutes, and a day to spare.
KEEP_JUDGED_MINUTES = timedelta(days=5)
KEEP_HOURS = timedelta(days=35)

_ARRIVED = """
SELECT DISTINCT date_trunc('minute', at) FROM monitoring_measurement
WHERE id >= %(low)s AND id < %(high)s
"""
_COUNTS = """
SELECT m.start, (SELECT count(*) FROM monitoring_measurement x
                 WHERE x.at >= m.start AND x.at < m.start + interval '1 minute'),
       w.source_rows
FROM unnest(%(minutes)s::timestamptz[]) AS m(start)
LEFT JOIN monitoring_rollupwindow w ON w.grain = 'm' AND w.start = m.start
ORDER BY m.start
"""
_RAW = """
SELECT labels::text, names, numbers FROM monitoring_measurement
WHERE at >= %(low)s AND at < %(high)s
"""
_BELOW = """
SELECT scope, key, stats FROM monitoring_rollup
WHERE grain = %s AND start >= %s AND start < %s
"""
_WINDOW = """
INSERT INTO monitoring_rollupwindow (grain, start, source_rows, is_dirty)
VALUES (%(grain)s, %(start)s, %(rows)s, %(dirty)s)
ON CONFLICT (grain, start) DO UPDATE
SET source_rows = excluded.source_rows, is_dirty = excluded.is_dirty
"""


_ADD_TO_TOTALS = """
INSERT INTO monitoring_metrictotal AS t (scope, key, metric, count, total)
SELECT r.scope, r.key, s.name, sum((s.value->>0)::bigint), sum((s.value->>1)::float8)
FROM monitoring_rollup r CROSS JOIN LATERAL jsonb_each(r.stats) AS s(name, value)
WHERE r.grain = 'd' AND r.start >= %(low)s AND r.start < %(high)s
  AND r.scope = ANY(%(scopes)s)
GROUP BY 1, 2, 3
ON CONFLICT (scope, key, metric) DO UPDATE
SET count = t.count + excluded.count, total = t.total + excluded.total
"""


def roll_up(*, now: datetime | None = None) -> int:
    """Fold everything that arrived since the last pass; returns how many windows were made.

    Another pass at the same time does nothing. After a pause it goes on where it stopped, for at
    most ``BUDGET_SECONDS`` a pass.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s), now()", [LOCK])
        mine, database_now = cursor.fetchone()
    if not mine:
        return 0
    try:
        return _pass(now or database_now)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _pass(now: datetime) -> int:
    began, made = time.monotonic(), 0
    while True:
        mark = _mark(now)
        until = min(now, mark + SLICE)
        # The first pass of an hour looks back further.
        back = LONG_OVERLAP if _hour(mark) != _hour(until) else OVERLAP
        arrived = _changed(mark - back, until if until < now else now + HOUR)
        minutes = [(start, rows) for start, rows in arrived if start > now - TOO_LATE]
        if len(minutes) < len(arrived):
            logs.event(logger, "monitoring.measurements.dropped", minutes=len(arrived))
        for start, rows in minutes:
            _make_minute(start, rows)
        RollupMark.objects.filter(pk=MARK).update(through=until)
        made += len(minutes)
        if until >= now or time.monotonic() - began > BUDGET_SECONDS:
            break
    made += _make_dirty(Grain.HOUR, HOUR, Grain.MINUTE, now)
    made += _make_dirty(Grain.DAY, DAY, Grain.HOUR, now)
    return made


def _mark(now: datetime) -> datetime:
    row, _ = RollupMark.objects.get_or_create(pk=MARK, defaults={"through": _oldest(now)})
    return row.through


def _oldest(now: datetime) -> datetime:
    """When the first row was written, by its id: what it is about may lie long before."""
    rows = execute("SELECT id FROM monitoring_measurement ORDER BY id LIMIT 1", {})
    return min(time_of(rows[0][0]), now) if rows else now


def _changed(low: datetime, high: datetime) -> list[tuple[datetime, int]]:
    """Minutes that got rows between the two times and do not know it yet, with their rows."""
    found = execute(_ARRIVED, {"low": first_id(low), "high": first_id(high)})
    minutes = [minute for (minute,) in found]
    rows = execute(_COUNTS, {"minutes": minutes})
    return [(start, count) for start, count, known in rows if count != known]


def _make_minute(start: datetime, rows: int) -> None:
    with transaction.atomic():
        windows = folding.fold(execute(_RAW, {"low": start, "high": start + MINUTE}))
        _replace(Grain.MINUTE, start, windows)
        _note(Grain.MINUTE, start, rows=rows, dirty=False)
        _note(Grain.HOUR, _hour(start), rows=0, dirty=True)


def _make_dirty(grain: str, length: timedelta, below: str, now: datetime) -> int:
    """Make closed windows of ``grain`` anew whose parts have changed."""
    due = RollupWindow.objects.filter(grain=grain, is_dirty=True, start__lte=now - length)
    starts = list(due.order_by("start").values_list("start", flat=True))
    for start in starts:
        if grain == Grain.HOUR and start < now - KEEP_MINUTES + HOUR:
            _restore_minutes(start)
        elif grain == Grain.DAY and start < now - KEEP_HOURS + DAY:
            _restore_hours(start, now)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_BELOW, [below, start, start + length])
                windows = folding.join((s, k, json.loads(v)) for s, k, v in cursor.fetchall())
            _replace(grain, start, windows)
            _note(grain, start, rows=len(windows), dirty=False)
            if grain == Grain.HOUR:
                _note(Grain.DAY, _day(start), rows=0, dirty=True)
    return len(starts)


def _restore_hours(day: datetime, now: datetime) -> None:
    """Later still: the other hours of its day are gone, too."""
    have = set(
        RollupWindow.objects.filter(grain=Grain.HOUR, start__gte=day, start__lt=day + DAY)
        .values_list("start", flat=True)
    )  # fmt: skip
    for hour in (day + n * HOUR for n in range(24)):
        if hour not in have:
            _restore_minutes(hour)
    _make_dirty(Grain.HOUR, HOUR, Grain.MINUTE, now)


def _restore_minutes(hour: datetime) -> None:
    """Very late data: the other minutes of its hour are gone, but their measurements are not."""
    minutes = [hour + n * MINUTE for n in range(60)]
    # Not by what is left in them: some scopes are kept longer than the rest.
    have = set(
        RollupWindow.objects.filter(grain=Grain.MINUTE, start__gte=hour, start__lt=hour + HOUR)
        .values_list("start", flat=True)
    )  # fmt: skip
    for start, count, _ in execute(_COUNTS, {"minutes": minutes}):
        if count and start not in have:
            _make_minute(start, count)


def _replace(grain: str, start: datetime, windows: Windows) -> None:
    Rollup.objects.filter(grain=grain, start=start).delete()
    Rollup.objects.bulk_create(
        [
            Rollup(
                grain=grain,
                start=start,
                scope=scope,
                key=key[:200],
                stats={name: stat.as_json() for name, stat in metrics.items()},
            )
            for (scope, key), metrics in windows.items()
        ],
        batch_size=2000,
    )


def _note(grain: str, start: datetime, *, rows: int, dirty: bool) -> None:
    execute(_WINDOW, {"grain": str(grain), "start": start, "rows": rows, "dirty": dirty})


def keep_tidy(*, now: datetime) -> dict[str, int]:
    """Prepare months, drop what is past its time (days stay), and add days to the totals."""
    for table in PARTITIONED:
        ensure_months(APP, table, now=now)
    execute("SELECT monitoring_guard_audit()", {})
    done = {"months": len(drop_months_before(APP, "monitoring_measurement", before=now - KEEP_RAW))}
    for grain, keep in ((Grain.MINUTE, KEEP_MINUTES), (Grain.HOUR, KEEP_HOURS)):
        old = {"grain": grain, "start__lt": now - keep}
        gone = Rollup.objects.filter(**old)
        if grain == Grain.MINUTE:
            still = Q(start__gte=now - KEEP_JUDGED_MINUTES, scope__in=_judged_by_minutes())
            gone = gone.exclude(still)
        done[f"{grain.name.lower()}s"] = gone.delete()[0]
        RollupWindow.objects.filter(**old).delete()
    done["days_totalled"] = _add_to_totals(now)
    logs.event(logger, "monitoring.rollups.tidied", **done)
    return done


def _judged_by_minutes() -> list[str]:
    """Scopes whose short steps a rule compares with days of their past."""
    kinds = (AlertRule.Kind.ANOMALY, AlertRule.Kind.TOGETHER)
    rules = AlertRule.objects.filter(kind__in=kinds, is_active=True)
    return sorted(set(rules.values_list("scope", flat=True)))


@transaction.atomic
def _add_to_totals(now: datetime) -> int:
    """Days that will hardly change any more, added to what Prometheus sees; each of them once."""
    until = _day(now - SETTLED)
    mark, made = RollupMark.objects.select_for_update().get_or_create(
        pk=TOTALS, defaults={"through": datetime(2000, 1, 1, tzinfo=UTC)}
    )
    if not made and mark.through >= until:
        return 0
    window = {"low": mark.through, "high": until}
    days = execute(
        "SELECT count(DISTINCT start) FROM monitoring_rollup "
        "WHERE grain = 'd' AND start >= %(low)s AND start < %(high)s",
        window,
    )[0][0]
    execute(_ADD_TO_TOTALS, {**window, "scopes": list(EXPORTED)})
    RollupMark.objects.filter(pk=TOTALS).update(through=until)
    return int(days)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _day(at: datetime) -> datetime:
    return _hour(at).replace(hour=0)
