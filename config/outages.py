"""What a user is told when the database, the broker or the disk is away: one sentence, and 503."""

from __future__ import annotations

import errno
from typing import Any

import redis
from django.db import InterfaceError, OperationalError, ProgrammingError
from kombu.exceptions import OperationalError as BrokerError

from config.errors import Unavailable

_FULL = "its disk is full: free some space"
_STARTING = "it is starting or stopping: try again in a moment"
_AWAY = "it does not answer: try again in a moment"
# Undefined table.
_NO_TABLE = "42P01"
_SQLSTATES = {"53100": _FULL, "53300": "it has no connection left: try again in a moment"}


def outage_of(error: BaseException | None) -> Unavailable | None:
    """The outage that ``error`` shows; None if it is something else.

    Names and addresses of servers stay in the log: the sentence goes to whoever asked.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return Unavailable("the database", _why(error))
    if isinstance(error, BrokerError | redis.ConnectionError | redis.TimeoutError):
        return Unavailable("the broker", _AWAY)
    if isinstance(error, redis.ResponseError) and "MISCONF" in str(error):
        return Unavailable("the broker", _FULL)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("the disk", "it is full: free some space")
    return None


def has_no_tables(error: BaseException) -> bool:
    """Whether ``error`` is of an instance that was never started, so that it has no tables."""
    if not isinstance(error, ProgrammingError):
        return False
    return getattr(error.__cause__, "sqlstate", None) == _NO_TABLE


def _why(error: BaseException) -> str:
    state: Any = getattr(error.__cause__, "sqlstate", None) or ""
    if state in _SQLSTATES:
        return _SQLSTATES[state]
    text = str(error)
    if "No space left on device" in text:
        return _FULL
    if state.startswith("57P") or "starting up" in text or "shutting down" in text:
        return _STARTING
    return _AWAY
