"""A pulse to somebody outside: whoever misses it knows that nobody here can tell any more.

The rule for stuck sweeps is itself judged by a sweep. When beat or every worker stands still, it
is silent, and so is this pulse.
"""

from __future__ import annotations

import json
import logging

import httpx
from django.conf import settings

from config import logs
from config.errors import AppError
from monitoring import health, posting

logger = logging.getLogger(__name__)


def send() -> bool:
    """Call ``HEARTBEAT_URL`` if every vital sweep is on time; False if not."""
    if settings.HEARTBEAT_URL == "-":
        return False
    if late := health.late_now():
        logs.event(logger, "monitoring.pulse.withheld", level=logging.WARNING, late=late[0])
        return False
    body = json.dumps({"installation": settings.INSTALLATION}).encode()
    try:
        posting.post(settings.HEARTBEAT_URL, body, {}, may_be_private=True)
    except (AppError, httpx.HTTPError) as error:
        logs.event(logger, "monitoring.pulse.refused", level=logging.WARNING,
                   error=f"{type(error).__name__}: {error}"[:200])  # fmt: skip
        return False
    return True
