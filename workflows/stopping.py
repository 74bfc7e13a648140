"""What a worker does when it is told to stop: it hands back what it will not finish in time.

Celery's warm shutdown waits for running tasks, and whoever supervises the worker ends it after a
grace. Shortly before that, leases are given up, so that others go on at once instead of after
the lease's end. Steps that end earlier finish as usual.
"""

from __future__ import annotations

import threading
from typing import Any

from celery import signals
from django.conf import settings
from django.db import connection

from workflows.leases import leases

# Left for the statement itself before the worker is killed.
_MARGIN_SECONDS = 2.0


@signals.worker_shutting_down.connect(weak=False)
def hand_back_before_the_end(**kwargs: Any) -> None:
    """Give up this process's leases, and those of its forks, just before the grace is over."""
    grace = settings.WORKER_GRACE.total_seconds() - _MARGIN_SECONDS
    # Forks look once a heartbeat, so they are told that much earlier.
    _later(max(0.1, grace - settings.STEP_HEARTBEAT.total_seconds()), leases.tell_forks)
    _later(max(0.1, grace), _hand_back)


def _hand_back() -> None:
    try:
        leases.hand_back()
    finally:
        connection.close()


def _later(seconds: float, work: Any) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
