"""Is this instance fit for work: database, broker, consumption, sweeps, disk, replication.

Consumption is proved by canary tasks through the real broker: a worker may be alive, hold its
connection and still take nothing. Any other task that starts on a queue proves the same.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import crontab
from django.conf import settings
from django.db import DatabaseError, connection

from config.celery import QUEUES, app
from config.schedules import SCHEDULE
from monitoring.signs import CANARY, QUEUE, TASK

# A queue without a start of any task for so long is asked by a canary.
ASK_AFTER = timedelta(seconds=10)
# A canary without an answer is sent again after this; one outstanding is enough.
ASK_AGAIN = timedelta(seconds=30)
# Analysis runs one long task at a time, and nothing can start meanwhile.
ANALYSIS_STALE = timedelta(minutes=15)
# A periodic task may miss two ticks; the third makes it stuck.
TICKS_MISSED = 3
SLACK = timedelta(seconds=30)
DAILY_SLACK = timedelta(hours=1)
MAX_REPLICATION_LAG = timedelta(seconds=60)
# Alerted when it is late, as all are, but no reason to take the instance out of service.
NOT_VITAL = frozenset({"monitoring.export_telemetry", "monitoring.pulse"})
# Answers are reused for this long: nobody can load the database by asking.
REUSE_SECONDS = 0.5

_ASK = """
INSERT INTO monitoring_heartbeat AS h (name, asked_at)
SELECT name, now() FROM unnest(%(names)s::text[]) AS name
ON CONFLICT (name) DO UPDATE SET asked_at = now()
WHERE (h.seen_at IS NULL OR h.seen_at < %(since)s
       OR h.seen_at < now() - make_interval(secs => %(after)s))
  AND (h.asked_at IS NULL OR h.asked_at <= h.seen_at OR h.asked_at < %(since)s
       OR h.asked_at < now() - make_interval(secs => %(again)s))
RETURNING h.name
"""

_MAY_REWRITE = """
SELECT pg_has_role(current_user, c.relowner, 'MEMBER')
    OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE')
    OR has_table_privilege(c.oid, 'TRUNCATE') OR has_table_privilege(c.oid, 'TRIGGER')
FROM pg_class c
WHERE c.oid IN (to_regclass('monitoring_auditentry'), to_regclass('monitoring_auditseal'))
   OR c.oid IN (SELECT inhrelid FROM pg_inherits
                WHERE inhparent = to_regclass('monitoring_auditentry'))
"""

# What runs with the owner's rights must not do for the application what it may not do itself.
_MAY_HAVE_DROPPED = """
SELECT p.proname FROM pg_proc p
WHERE p.prosecdef AND p.prosrc ~ 'monitoring_audit(entry|seal)' AND p.prosrc ~* 'drop\\s+table'
    AND has_function_privilege(p.oid, 'EXECUTE')
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. What is not ``required`` is told, and stops nothing."""

    name: str
    ok: bool
    detail: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """All checks; ready when every required one is fine."""

    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        return all(check.ok for check in self.checks if check.required)

    @property
    def detail(self) -> str:
        """What is wrong, in one line; what is only a warning comes last."""
        wrong = sorted((c for c in self.checks if not c.ok), key=lambda c: not c.required)
        return "; ".join(f"{c.name}: {c.detail}" for c in wrong) or "ready"

    def as_dict(self) -> dict[str, Any]:
        return {
            "ready": self.ready,
            "detail": self.detail,
            "checks": {
                c.name: {"ok": c.ok, "detail": c.detail, "required": c.required}
                for c in self.checks
            },
        }


_lock = threading.Lock()
_last: tuple[float, Readiness] | None = None
_since: datetime | None = None


def readiness() -> Readiness:
    """All checks, at most ``REUSE_SECONDS`` old."""
    global _last
    with _lock:
        if _last is None or time.monotonic() - _last[0] > REUSE_SECONDS:
            _last = (time.monotonic(), _look())
        return _last[1]


def forget() -> None:
    """Begin anew, as a process that has just started."""
    global _last, _since
    with _lock:
        _last = _since = None


def _look() -> Readiness:
    checks = [_disk()]
    try:
        now = _database_now()
    except DatabaseError as error:
        why = str(error).strip().splitlines() or [type(error).__name__]
        return Readiness((Check("database", False, why[0][:200]), *checks))
    checks += [Check("database", True, "answers"), _append_only(), _replication()]
    checks.append(_broker())
    seen = heartbeats()
    checks += [_consumption(queue, seen.get(QUEUE + queue), now) for queue in settings.READY_QUEUES]
    checks.append(_sweeps(seen, now))
    return Readiness(tuple(checks))


def _database_now() -> datetime:
    """The database's time; the first one is this process's beginning."""
    global _since
    with connection.cursor() as cursor:
        cursor.execute("SELECT now(), pg_is_in_recovery()")
        now, in_recovery = cursor.fetchone()
    if in_recovery:
        raise DatabaseError("the database is a standby, which takes no writes")
    _since = _since or now
    return now


def heartbeats() -> dict[str, datetime]:
    """When each queue and periodic task was last seen."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, seen_at FROM monitoring_heartbeat WHERE seen_at IS NOT NULL")
        return dict(cursor.fetchall())


def send_canaries() -> list[str]:
    """Ask the queues that nobody heard of lately; returns their names.

    Raises what the broker raises when it is away.
    """
    wanted = [QUEUE + queue for queue in QUEUES]
    with connection.cursor() as cursor:
        # What was seen or asked before this process began says nothing of the workers of now.
        cursor.execute(
            _ASK,
            {
                "names": wanted,
                "after": ASK_AFTER.total_seconds(),
                "again": ASK_AGAIN.total_seconds(),
                "since": _since,
            },
        )
        asked = sorted(name for (name,) in cursor.fetchall())
    for name in asked:
        app.send_task(CANARY, queue=name.removeprefix(QUEUE), retry=False, ignore_result=True)
    return asked


def _broker() -> Check:
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=2)
        send_canaries()
    except Exception as error:  # each transport has its own errors
        return Check("broker", False, f"{type(error).__name__}: {error}"[:200])
    return Check("broker", True, "answers")


def _consumption(queue: str, seen_at: datetime | None, now: datetime) -> Check:
    limit = ANALYSIS_STALE if queue == "analysis" else settings.READY_STALE
    name = f"queue {queue}"
    if seen_at is None or (_since is not None and seen_at < _since):
        return Check(name, False, "no worker has taken a task since this process started")
    if now - seen_at > limit:
        return Check(name, False, f"no task taken for {(now - seen_at).total_seconds():.0f} s; "
                                  f"limit {limit.total_seconds():g} s")  # fmt: skip
    return Check(name, True, "consumed")


def late_sweeps(seen: dict[str, datetime], now: datetime) -> list[str]:
    """Those of ``stuck_tasks`` without which the instance does not do its work."""
    return [one for one in stuck_tasks(seen, now) if one.partition(" ")[0] not in NOT_VITAL]


def late_now() -> list[str]:
    """The same as of now; what never succeeded counts from this process's first look."""
    now = _database_now()
    return late_sweeps(heartbeats(), now)


def _sweeps(seen: dict[str, datetime], now: datetime) -> Check:
    if late := late_sweeps(seen, now):
        return Check("sweeps", False, "no success in time: " + ", ".join(late))
    return Check("sweeps", True, "on time")


def stuck_tasks(seen: dict[str, datetime], now: datetime) -> list[str]:
    """Periodic tasks that have not succeeded when they should have, with how long ago."""
    late = []
    for entry in SCHEDULE.values():
        task, schedule = str(entry["task"]), entry["schedule"]
        last = max(filter(None, (seen.get(TASK + task), _since)), default=now)
        if isinstance(schedule, crontab):
            overdue = -schedule.remaining_estimate(last) > DAILY_SLACK
        else:
            seconds = getattr(schedule, "total_seconds", lambda s=schedule: s)()
            overdue = now - last > TICKS_MISSED * timedelta(seconds=float(seconds)) + SLACK
        if overdue:
            late.append(f"{task} ({(now - last).total_seconds():.0f} s)")
    return late


def _disk() -> Check:
    settings.RATCHET_HOME.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(settings.RATCHET_HOME)
    least = settings.READY_MIN_FREE_BYTES
    detail = f"{usage.free // 2**20} MB free at the data folder; at least {least // 2**20} needed"
    return Check("disk", usage.free >= least, detail)


# A standby that has fallen silent reports no lag: what it has not replayed counts from its last
# word on. A base backup that is being taken is no standby.
_REPLICATION = """
WITH standby AS (
    SELECT CASE WHEN replay_lsn < pg_current_wal_lsn()
        THEN greatest(replay_lag, now() - reply_time) ELSE replay_lag END AS lag
    FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup')
SELECT (SELECT count(*) FROM standby), (SELECT max(lag) FROM standby),
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
    (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active)
"""


def _replication() -> Check:
    with connection.cursor() as cursor:
        cursor.execute(_REPLICATION)
        standbys, lag, may_see, idle_slots = cursor.fetchone()
    if idle_slots:
        detail = f"{idle_slots} slot(s) without a standby: it is away, and its log fills the disk"
        return Check("replication", False, detail, required=False)
    if not standbys:
        return Check("replication", True, "no standby", required=False)
    if not may_see:  # PostgreSQL tells everybody else that there is a standby, and nothing of it
        detail = f"{standbys} standby(s), lag not shown: GRANT pg_read_all_stats to this role"
        return Check("replication", False, detail, required=False)
    seconds = lag.total_seconds() if lag else 0.0
    limit = MAX_REPLICATION_LAG.total_seconds()
    detail = f"{standbys} standby(s), lag {seconds:.1f} s; limit {limit:g} s"
    return Check("replication", seconds <= limit, detail, required=False)


def _append_only() -> Check:
    """Whether the running role could rewrite the audit log. Commands run as the owner."""
    if functions := functions_that_drop():
        detail = f"not enforced: {', '.join(functions)}() drops months of the audit log; migrate"
        return Check("append_only", False, detail, required=False)
    if append_only_is_enforced():
        return Check("append_only", True, "enforced: this role can only add to the audit log")
    return Check(
        "append_only",
        False,
        "not enforced: this role owns the audit log; give DATABASE_URL a role of its own beside "
        "DATABASE_OWNER_URL",
        required=False,
    )


def append_only_is_enforced() -> bool:
    """False when the connected role may update, delete or empty the audit log, or alter it.

    Neither by itself, nor by a function that runs with the owner's rights.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MAY_REWRITE)
        rows = cursor.fetchall()
    return bool(rows) and not any(may for (may,) in rows) and not functions_that_drop()


def functions_that_drop() -> list[str]:
    """Functions by which the connected role could drop a part of the audit log."""
    with connection.cursor() as cursor:
        cursor.execute(_MAY_HAVE_DROPPED)
        return [name for (name,) in cursor.fetchall()]
