"""Structured logs: one JSON object a line, an event's name and its fields, never prose."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import traceback
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from config import tracing

# What a caller may give as its own request id.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}")
# Errors that one line tells of; a group may hold hundreds.
MOST_ERRORS = 20
# Attributes of errors that say what happened without a text: of the system, of PostgreSQL, of HTTP
# and of our own errors. And errors that are about the installation alone.
_CODES = ("errno", "sqlstate", "status_code", "code")
_CODE = re.compile(r"[A-Za-z0-9_]{1,40}")
_SAYING = {("django.core.exceptions", "ImproperlyConfigured")}

# Identifiers of the work at hand (request, run, step); every line of that work carries them.
context: ContextVar[dict[str, str] | None] = ContextVar("log_context", default=None)


def event(
    logger: logging.Logger, name: str, /, *, level: int = logging.INFO, **fields: Any
) -> None:
    """Log ``app.noun.past_participle`` with identifiers as fields; no text of a prompt."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={"fields": fields})


class JsonFormatter(logging.Formatter):
    """One line of JSON: time, level, event, fields, and the exception's type and place.

    Never what an exception says: a database's detail or a tool's complaint repeats what people
    wrote.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event_of(record),
        }
        line.update(context.get() or {})
        if trace := tracing.trace_id():
            line["trace_id"] = trace
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = _places(record.exc_info[1])
        return json.dumps(line, default=str, ensure_ascii=False)


def _places(error: BaseException | None) -> str:
    """Types and places of ``error`` and of those that led to it, innermost first."""
    told: list[str] = []
    waiting, seen = [error], set[int]()
    while waiting and len(told) < MOST_ERRORS:
        now = waiting.pop(0)
        if now is None or id(now) in seen:
            continue
        seen.add(id(now))
        frames = "".join(traceback.format_tb(now.__traceback__))
        told.append(f"{frames}{_kind(now)}")
        if isinstance(now, BaseExceptionGroup):
            waiting += now.exceptions
        waiting.append(now.__cause__ or (None if now.__suppress_context__ else now.__context__))
    return "\n".join(reversed(told))


def _kind(error: BaseException) -> str:
    """The type of ``error``, and what of its cause is a number or a code and no text of people."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    told = []
    for name in _CODES:
        with suppress(Exception):  # it may be computed
            if _is_code(code := getattr(error, name, None)):
                told.append(f"{name}={code}")
    if isinstance(error, OSError) and type(error.errno) is int and error.errno in errno.errorcode:
        told.append(os.strerror(error.errno))
    if (type(error).__module__, type(error).__qualname__) in _SAYING:
        told.append(str(error))
    return f"{kind} ({', '.join(told)})" if told else kind


def _is_code(code: object) -> bool:
    return type(code) is int or (isinstance(code, str) and bool(_CODE.fullmatch(code)))


def _event_of(record: logging.LogRecord) -> str:
    """What a line tells. Celery and asyncio put an exception's own words into theirs."""
    if record.exc_info and record.name.startswith("celery"):
        if isinstance(record.args, dict):
            return f"celery.task.failed {record.args.get('name')} {record.args.get('id')}"
        return str(record.msg)
    if record.exc_info and record.name == "asyncio":
        return str(record.msg).partition("\n")[0]
    return record.getMessage()


class RequestContextMiddleware:
    """Give each request an id, in its logs and in its answer; and a span, where spans go out."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        token = context.set({"request_id": _request_id(request)})
        try:
            with tracing.request_span(request) as answered:
                return answered(self._label(request, self.get_response(request)))
        finally:
            context.reset(token)

    def _label(self, request: Any, response: Any) -> Any:
        response["X-Request-ID"] = request.request_id
        return response


def _request_id(request: Any) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")  # nobody else may need all of the headers
    request.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    return str(request.request_id)
