"""What callers were refused: written down, until it is known, so that nobody fills the table."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework.request import Request

from config.access import attempts
from config.access.callers import Caller

# Within the lock-out time; the last one says that it goes on.
MOST_TOLD = 20


def note(request: Request | None) -> None:
    """Write a security event about a request that its caller has no right to."""
    caller = getattr(request, "auth", None)
    if request is None or not isinstance(caller, Caller):
        return
    left = attempts.count("denied", caller.principal, MOST_TOLD)
    if left is None or left < 0:
        return
    severity, detail = "low", {}
    if not left:
        severity, detail = "high", {"reason": "keeps asking for what it may not do"}
    import_string(settings.SECURITY_WRITER)(
        kind="denied", severity=severity, actor=caller.principal, user_id=caller.user_id,
        client_id=caller.home_client_id, target=f"{request.method} {request.path}"[:200],
        detail=detail,
    )  # fmt: skip
