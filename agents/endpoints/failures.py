"""What went wrong with a request, and for how long its provider asks to be left alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx2
import openai
from django.conf import settings
from django.utils import timezone
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as WireTimeout

from agents.endpoints.values import Failure

# An answer that a request asked for badly stays bad elsewhere.
CALLERS_FAULTS = frozenset({400, 413, 422})
NO_REPLY = "no whole reply"
NO_CONNECTION = "no connection"
TIMEOUTS = (openai.APITimeoutError, httpx2.TimeoutException, WireTimeout, TimeoutError)
_NO_CONNECTION = (httpx2.ConnectTimeout, ConnectTimeoutError)
_BROKEN = (openai.APIConnectionError, httpx2.TransportError, HTTPError)


def as_failure(error: Exception, left: float) -> Failure:
    """What went wrong with a request that had ``left`` seconds."""
    if isinstance(error, openai.APIStatusError):
        return _refused(error.status_code, error.message, error.response.headers)
    if isinstance(error, NewConnectionError):  # a timeout by descent only
        return _broken(error)
    if isinstance(error, _NO_CONNECTION) or isinstance(error.__cause__, _NO_CONNECTION):
        limit = min(left, settings.MODEL_CONNECT_TIMEOUT.total_seconds())
        return Failure("timeout", NO_CONNECTION, limit_seconds=limit, try_again=False)
    if isinstance(error, TIMEOUTS):
        return Failure("timeout", NO_REPLY, limit_seconds=round(left, 1), try_again=False)
    if isinstance(error, _BROKEN):
        return _broken(error)
    # an error body inside a stream
    return Failure("unavailable", error.message if isinstance(error, openai.APIError) else "")


def _broken(error: Exception) -> Failure:
    cause = error.__cause__ or error
    return Failure("unavailable", f"{type(cause).__name__}: {cause}")


def refused(status: int, content: bytes, headers: Mapping[str, str]) -> Failure:
    """What an answer that is no good one says, in the words of the ``openai`` client."""
    try:
        body = json.loads(content)
        error = body.get("error", body)
        message = error["message"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        message = None
    told = f" - {message}" if isinstance(message, str) and message else ""
    return _refused(status, f"Error code: {status}{told}", headers)


def _refused(status: int, message: str, headers: Mapping[str, str]) -> Failure:
    why = f"HTTP {status}: {message}"[:300]
    wait = retry_after(headers)
    if status == 429:
        return Failure("rate_limited", why, http_status=status, retry_after_seconds=wait)
    if status in CALLERS_FAULTS:
        return Failure("bad_request", why, http_status=status, try_again=False, is_callers=True)
    if status in (408, 409) or status >= 500:
        return Failure("unavailable", why, http_status=status, retry_after_seconds=wait)
    return Failure("unavailable", why, http_status=status, try_again=False)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``retry-after-ms`` or ``Retry-After`` (seconds or a date, RFC 9110 10.2.3)."""
    try:
        if exact := headers.get("retry-after-ms"):
            return max(0.0, float(exact) / 1000)
        if given := headers.get("retry-after"):
            if given.replace(".", "", 1).isdigit():
                return float(given)
            return max(0.0, (parsedate_to_datetime(given) - timezone.now()).total_seconds())
    except (ValueError, TypeError):
        return None
    return None
