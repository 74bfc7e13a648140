"""Attacks and leaks that were stopped: written down, counted, and watched by a rule."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from config.errors import InvalidInput
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.noted import Measurement
from monitoring.models import SecurityEvent
from monitoring.writing import record


@transaction.atomic
def security_event(
    *,
    kind: str,
    severity: str = Severity.MEDIUM.value,
    actor: str = "",
    target: str = "",
    client_id: UUID | None = None,
    user_id: UUID | None = None,
    address: str | None = None,
    detail: dict[str, Any] | None = None,
) -> UUID:
    """Write down one event; returns its id. In the caller's transaction if there is one.

    ``detail`` holds scores and reasons, never the text itself. Raises InvalidInput for an
    unknown kind or severity.
    """
    if kind not in SecurityEvent.Kind.values:
        raise InvalidInput("kind", kind, f"one of {', '.join(SecurityEvent.Kind.values)}")
    if severity not in list(Severity):
        raise InvalidInput("severity", severity, f"one of {', '.join(Severity)}")
    row = SecurityEvent.objects.create(
        kind=kind, severity=severity, actor=actor[:120], target=target[:200],
        client_id=client_id, user_id=user_id, address=address, detail=detail or {},
    )  # fmt: skip
    agent = target.removeprefix("agent:") if target.startswith("agent:") else ""
    labels = {"code": kind, "client": str(client_id or ""), "agent": agent}
    record([Measurement({"security_events": 1.0}, labels)])
    return row.pk
