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
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class AuditMiddleware:
    """Write an entry for each change that was accepted, and each privileged read."""

    # As the sign-in check beside it: all of them in one thread.
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        before = _who(request) if request.path == "/logout" else None
        response = self.get_response(request)
        action = _action(request, response.status_code)
        if action:
            _write(action, request, before or _who(request))
        return response


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


def _who(request: HttpRequest) -> tuple[str, Any, Any]:
    """Actor, user and client; of a session without an API caller, the user alone."""
    caller = getattr(request, "auth", None)
    if isinstance(caller, Caller):
        return caller.principal, caller.user_id, caller.home_client_id
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return f"user:{user.pk}", user.pk, None
    return "", None, None


def _write(action: str, request: HttpRequest, who: tuple[str, Any, Any]) -> None:
    actor, user_id, client_id = who
    if not actor:
        return
    try:
        import_string(settings.AUDIT_WRITER)(
            actor=actor, action=action, target=request.path, user_id=user_id, client_id=client_id
        )
    except DatabaseError as error:  # the work is done and must not look undone
        logs.event(logger, "access.audit.lost", level=logging.ERROR, action=action,
                   error=type(error).__name__)  # fmt: skip
