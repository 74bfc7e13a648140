"""Doing a write again while the database is away, for as long as the claim behind it holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from config import logs

logger = logging.getLogger(__name__)
# How long a write is tried again while the database is away; after it a lease has ended.
FINISH_PATIENCE_SECONDS = 15.0


def patiently(write: Any) -> Any:
    """Do a write, again and again while the database is away, until the lease must have ended."""
    until = time.monotonic() + FINISH_PATIENCE_SECONDS
    for pause in _pauses():
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() + pause > until:
                raise
            logs.event(
                logger,
                "workflows.write.delayed",
                level=logging.WARNING,
                error=type(error).__name__,
            )
            connection.close()
            time.sleep(pause)
    return None


def _pauses() -> Iterator[float]:
    pause = 0.1
    while True:
        yield pause
        pause = min(2.0, pause * 2)
