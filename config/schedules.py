"""When beat sends what, and why then. The code wins at every start; operators may disable.

``expire_seconds`` is what the database scheduler reads (it ignores ``expires``): a tick that
could not be delivered in time is dropped, because the next one does the same work.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

SCHEDULE: dict[str, dict[str, Any]] = {
    # Lost messages, dead leases, due timers; lease + this stay under 30 s (config.E002).
    "workflows-sweep": {
        "task": "workflows.sweep",
        "schedule": settings.SWEEP_INTERVAL.total_seconds(),
        "options": {"queue": "control", "expire_seconds": settings.SWEEP_INTERVAL.seconds},
    },
}
