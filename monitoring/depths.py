"""How many messages wait in each queue, measured at the broker."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

from kombu.exceptions import ChannelError, OperationalError

from config import logs
from config.celery import QUEUES, app
from config.errors import Unavailable
from monitoring.domain.noted import Measurement
from monitoring.writing import record

logger = logging.getLogger(__name__)
# Empty queues are told this often only: an idle instance has nothing to fold meanwhile.
QUIET_SECONDS = 60.0
_told_at = -QUIET_SECONDS
_REFUSED = (ChannelError, OperationalError, OSError)


def measure_queues() -> dict[str, int]:
    """Record each queue's depth; empty while the broker is away, which ``/readyz`` tells."""
    try:
        found = waiting()
    except Unavailable as error:
        logs.event(logger, "monitoring.depth.unknown", level=logging.WARNING, error=error.why)
        return {}
    global _told_at
    if not any(found.values()) and time.monotonic() - _told_at < QUIET_SECONDS:
        return found
    _told_at = time.monotonic()
    record([Measurement({"queue_depth": float(n)}, {"queue": q}) for q, n in found.items()])
    return found


def waiting() -> dict[str, int]:
    """How many messages wait in each queue now. Raises Unavailable while the broker is away."""
    try:
        with app.connection_for_read() as broker:
            return _depths(broker)
    except Exception as error:  # each transport has its own errors
        raise Unavailable("the broker", f"{type(error).__name__}: {error}"[:200]) from error


def _depths(broker: Any) -> dict[str, int]:
    """A queue that nobody has declared yet, or on Redis an empty one, is not there: none wait.

    Asked by one channel as long as it stays open: AMQP closes it over such a question.
    """
    refused = _REFUSED + tuple(broker.channel_errors)
    found, channel = dict.fromkeys(QUEUES, 0), broker.channel()
    for queue in QUEUES:
        if not _is_open(channel):
            channel = broker.channel()
        with suppress(*refused):
            found[queue] = int(channel.queue_declare(queue, passive=True).message_count)
    return found


def _is_open(channel: Any) -> bool:
    """Each transport has its own word for it."""
    return bool(getattr(channel, "is_open", not getattr(channel, "closed", False)))
