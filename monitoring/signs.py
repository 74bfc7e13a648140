"""Signs of life, taken from Celery's signals in every worker.

A task that starts proves that its queue is consumed; a periodic task that succeeds proves that
its sweep is not stuck. Nobody has to call anything, and a busy worker needs no canary.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery import signals
from django.db import DatabaseError, connection

from config import logs

logger = logging.getLogger(__name__)
QUEUE, TASK = "queue:", "task:"
CANARY = "monitoring.canary"
# One write per name and process in this time; more would tell nobody anything.
EVERY_SECONDS = 5.0
_written: dict[str, float] = {}

_SEEN = """
INSERT INTO monitoring_heartbeat (name, seen_at) VALUES (%s, now())
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at
"""


def connect() -> None:
    """Listen to what this process's worker does; harmless to repeat."""
    signals.task_prerun.connect(_started, dispatch_uid="monitoring.signs.started")
    signals.task_success.connect(_succeeded, dispatch_uid="monitoring.signs.succeeded")


def note(name: str, *, always: bool = False) -> None:
    """Write down that ``name`` gave a sign of life, at most every ``EVERY_SECONDS``.

    ``always``: somebody has asked and waits for the answer.
    """
    now = time.monotonic()
    if not always and now - _written.get(name, -EVERY_SECONDS) < EVERY_SECONDS:
        return
    _written[name] = now
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SEEN, [name])
    except DatabaseError as error:  # the work itself must not suffer; it will be noticed as age
        _written.pop(name, None)
        logs.event(logger, "monitoring.heartbeat.lost", level=logging.WARNING, name_=name,
                   error=type(error).__name__)  # fmt: skip


def _started(task: Any = None, **kwargs: Any) -> None:
    request = getattr(task, "request", None)
    queue = (getattr(request, "delivery_info", None) or {}).get("routing_key")
    if queue and not getattr(request, "is_eager", False):
        note(QUEUE + str(queue), always=getattr(task, "name", "") == CANARY)


def _succeeded(sender: Any = None, **kwargs: Any) -> None:
    if sender is not None and sender.name in _periodic():
        note(TASK + str(sender.name))


def _periodic() -> frozenset[str]:
    global _names
    if _names is None:
        from config.schedules import SCHEDULE  # settings are loaded only once tasks run

        _names = frozenset(str(entry["task"]) for entry in SCHEDULE.values())
    return _names


_names: frozenset[str] | None = None
