"""Who changed something through a door, and who read what is not everybody's: entries of the log.

One place for every door, so that none is forgotten; services write more about what they know best.
An entry says who, what was asked and where, never what was in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from config import logs
from config.access import callers
from config.access.callers import Caller

logger = logging.getLogger(__name__)
_DOORS = ("/api/v1/", "/admin/", "/dashboard", "/login", "/logout")
# What changes nothing, or is an entry of its own with more in it.
_NOT = re.compile(
    r"/(invocations|guardrails/scan|anomalies/backtest|experiments/(analysis|plan)"
    r"|workflows/validate)$"
)
# One row with somebody's words in it, or a file; lists show no texts.
_READ = re.compile(
    r"^/api/v1/(conversations|invocations|artifacts|privacy/exports|traces)/[^/]+"
    r"|^/dashboard/conversations/[^/]+|^/admin/.+/change/$"
)
# Changes that are done only once they are on the disk of this database, and the intent with them.
_FLUSHED = frozenset({"/api/v1/runs"})
Who = tuple[str, Any, Any]
NOBODY: Who = ("", None, None)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class AuditMiddleware:
    """Write an entry for each change that was accepted, and each privileged read.

    A change is on record before it begins, so that it is even where the process dies in between;
    what cannot be put on record is not done (503), and a read of words is not given.
    """

    # As the sign-in check beside it: all of them in one thread.
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        intent = _begin(request)
        response = self.get_response(request)
        if intent is not None:
            _end(intent, request, response.status_code)
        elif action := _action(request, response.status_code):
            _write(action, request, _who(request))
        return response


def _begin(request: HttpRequest) -> Any:
    """The intent of a change by somebody who is known, on record; else None."""
    if request.method in _SAFE or not request.path.startswith(_DOORS):
        return None
    if request.path == "/login" or _NOT.search(request.path):
        return None
    actor, user_id, client_id = _known(request)
    if not actor:
        return None
    action = f"http.{str(request.method).lower()}"
    return import_string(settings.AUDIT_INTENT).begin(
        actor=actor, action=action, target=request.path, user_id=user_id, client_id=client_id
    )


def _end(intent: Any, request: HttpRequest, status: int) -> None:
    action, client_id = _action(request, status), _who(request)[2]
    try:
        if action:
            intent.settle(action, client_id, waits=request.path not in _FLUSHED)
        elif status >= 500:  # a part of it may have come about
            intent.settle(f"{intent.action}.failed", client_id)
        else:
            intent.withdraw()
    except DatabaseError as error:  # the work is done and must not look undone; a sweep ends it
        logs.event(logger, "access.audit.delayed", level=logging.ERROR, action=intent.action,
                   error=type(error).__name__)  # fmt: skip


def _known(request: HttpRequest) -> Who:
    """Who asks, before a view has looked: the session's user, or the owner of a good key."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        caller = callers.of_key(token.strip())
        return _as_who(caller) if caller else NOBODY
    return _who(request)


def _action(request: HttpRequest, status: int) -> str:
    if status >= 400 or not request.path.startswith(_DOORS):
        return ""
    if request.method in _SAFE:
        return "http.read" if _READ.search(request.path) else ""
    if request.path == "/login":
        return "access.signed_in" if status == 302 else ""
    # A form that came back with its faults has changed nothing.
    accepted = status == 302 or not request.path.startswith("/admin/")
    return (
        f"http.{str(request.method).lower()}" if accepted and not _NOT.search(request.path) else ""
    )


def _who(request: HttpRequest) -> Who:
    """Actor, user and client; of a session without an API caller, the user alone."""
    caller = getattr(request, "auth", None)
    if isinstance(caller, Caller):
        return _as_who(caller)
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}", user.pk, None
    return NOBODY


def _as_who(caller: Caller) -> Who:
    return caller.principal, caller.user_id, caller.home_client_id


def _write(action: str, request: HttpRequest, who: Who) -> None:
    actor, user_id, client_id = who
    if actor:
        import_string(settings.AUDIT_WRITER)(
            actor=actor, action=action, target=request.path, user_id=user_id, client_id=client_id
        )
