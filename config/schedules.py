"""When beat sends what, and why then. The code wins at every start; operators may disable.

``expire_seconds`` is what the database scheduler reads (it ignores ``expires``): a tick that
could not be delivered in time is dropped, because the next one does the same work.
"""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab
from django.conf import settings

SCHEDULE: dict[str, dict[str, Any]] = {
    # Lost messages, dead leases, due timers; lease + this stay under 30 s (config.E002).
    "workflows-sweep": {
        "task": "workflows.sweep",
        "schedule": settings.SWEEP_INTERVAL.total_seconds(),
        "options": {"queue": "control", "expire_seconds": settings.SWEEP_INTERVAL.seconds},
    },
    # People wait for work that they do not know of; a mail server may hang for seconds.
    "workflows-tell": {
        "task": "workflows.tell",
        "schedule": 10.0,
        "options": {"queue": "low", "expire_seconds": 10},
    },
    # As often as the audit log is chained: what happened in a run is sealed within a minute.
    "workflows-seal-history": {
        "task": "workflows.seal_history",
        "schedule": 20.0,
        "options": {"queue": "control", "expire_seconds": 20},
    },
    # Each watch has its own period, the shortest of which is a minute.
    "workflows-watch": {
        "task": "workflows.watch",
        "schedule": 60.0,
        "options": {"queue": "control", "expire_seconds": 60},
    },
    # Holds of dead calls are money that nobody can spend; lost calls are people who wait.
    "agents-sweep": {
        "task": "agents.sweep",
        "schedule": 30.0,
        "options": {"queue": "control", "expire_seconds": 30},
    },
    # Daily at 01:20 UTC, when little runs: a month ahead of need, so that missing it harms nobody.
    "agents-partitions": {
        "task": "agents.prepare_partitions",
        "schedule": crontab(minute=20, hour=1),
        "options": {"queue": "control", "expire_seconds": 3600},
    },
    # Well under the age at which /readyz calls a queue unconsumed.
    "monitoring-canaries": {
        "task": "monitoring.send_canaries",
        "schedule": 15.0,
        "options": {"queue": "control", "expire_seconds": 15},
    },
    # Fold, judge and group in one pass: an alert fires within 70 s of its cause, of which
    # 15 are this, the rest a rule's own patience.
    "monitoring-watch": {
        "task": "monitoring.watch",
        "schedule": 15.0,
        "options": {"queue": "control", "expire_seconds": 15},
    },
    # Within the hour that it looks at; nobody is stopped by it, so it may take its turn.
    "monitoring-unusual": {
        "task": "monitoring.look_for_unusual",
        "schedule": 300.0,
        "options": {"queue": "low", "expire_seconds": 300},
    },
    # Away from control: a receiver that hangs may cost seconds.
    "monitoring-deliver": {
        "task": "monitoring.deliver",
        "schedule": 10.0,
        "options": {"queue": "low", "expire_seconds": 10},
    },
    # Apart from messages: neither waits for the other's receiver.
    "monitoring-pulse": {
        "task": "monitoring.pulse",
        "schedule": 60.0,
        "options": {"queue": "low", "expire_seconds": 60},
    },
    # As often as a collector is usually read. Away from control: it may hang.
    "monitoring-push-metrics": {
        "task": "monitoring.push_metrics",
        "schedule": 60.0,
        "options": {"queue": "low", "expire_seconds": 60},
    },
    # Entries wait unsealed for at most this long.
    "monitoring-seal-audit": {
        "task": "monitoring.seal_audit",
        "schedule": 20.0,
        "options": {"queue": "control", "expire_seconds": 20},
    },
    # Daily at 02:40 UTC: it reads the whole log, on the lane that may take its time.
    "monitoring-verify-audit": {
        "task": "monitoring.verify_audit",
        "schedule": crontab(minute=40, hour=2),
        "options": {"queue": "analysis", "expire_seconds": 3600},
    },
    # Daily at 01:40 UTC, after the last late rows of yesterday have been folded.
    "monitoring-tidy": {
        "task": "monitoring.tidy",
        "schedule": crontab(minute=40, hour=1),
        "options": {"queue": "control", "expire_seconds": 3600},
    },
    # Hourly, though a day is written once: an export that was cut off goes on within the hour, and
    # the lane is free again in between. Ahead of the monthly cycle, which reads it.
    "monitoring-export": {
        "task": "monitoring.export_telemetry",
        "schedule": crontab(minute=35),
        "options": {"queue": "analysis", "expire_seconds": 3000},
    },
    # On the 3rd, when late rows of the last days have come; a second run finds them made.
    "monitoring-sla-reports": {
        "task": "monitoring.keep_sla_reports",
        "schedule": crontab(minute=10, hour=5, day_of_month="3"),
        "options": {"queue": "analysis", "expire_seconds": 24 * 3600},
    },
    # A breach goes back within one sweep; folding what is open takes seconds, so not more often.
    "learning-comparisons": {
        "task": "learning.sweep_comparisons",
        "schedule": 60.0,
        "options": {"queue": "control", "expire_seconds": 60},
    },
    # At 40 past, between hourly exports and the next hour: what was said today is a pattern today.
    "learning-freshen": {
        "task": "learning.freshen",
        "schedule": crontab(minute=40),
        "options": {"queue": "analysis", "expire_seconds": 3000},
    },
    # 02:10 UTC: yesterday is over, its late rows are folded, and little runs.
    "learning-daily-cycle": {
        "task": "learning.run_cycle",
        "kwargs": {"cadence": "daily"},
        "schedule": crontab(minute=10, hour=2),
        "options": {"queue": "control", "expire_seconds": 6 * 3600},
    },
    # Mondays 03:10 UTC, behind that day's own cycle: a whole week is in, people see it at work.
    "learning-weekly-cycle": {
        "task": "learning.run_cycle",
        "kwargs": {"cadence": "weekly"},
        "schedule": crontab(minute=10, hour=3, day_of_week="mon"),
        "options": {"queue": "control", "expire_seconds": 12 * 3600},
    },
    # On the first at 04:10 UTC, behind both others, so that it can tell what they found.
    "learning-monthly-cycle": {
        "task": "learning.run_cycle",
        "kwargs": {"cadence": "monthly"},
        "schedule": crontab(minute=10, hour=4, day_of_month="1"),
        "options": {"queue": "control", "expire_seconds": 24 * 3600},
    },
    # Away from control: a mail server may hang for seconds.
    "learning-follow-up": {
        "task": "learning.follow_up",
        "schedule": 100.0,
        "options": {"queue": "low", "expire_seconds": 100},
    },
    # A third of how far back answers are drawn from; it waits for models.
    "learning-judge-live": {
        "task": "learning.judge_live",
        "schedule": 300.0,
        "options": {"queue": "low", "expire_seconds": 300},
    },
    # A third of the age at which a cycle or replay counts as lost.
    "learning-resume": {
        "task": "learning.resume",
        "schedule": 100.0,
        "options": {"queue": "control", "expire_seconds": 100},
    },
}
