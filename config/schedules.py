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
}
