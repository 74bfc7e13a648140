"""What happened in an incident, line by line."""

from __future__ import annotations

import logging
from typing import Any

from config import logs
from monitoring.models import Incident, IncidentEvent

logger = logging.getLogger(__name__)


def note(incident: Incident, name: str, *, actor: str = "", detail: Any = None) -> IncidentEvent:
    """One more line of the timeline."""
    event = IncidentEvent.objects.create(
        incident=incident, name=name, actor=actor, detail=detail or {}
    )
    event.refresh_from_db(fields=["at"])
    logs.event(logger, f"monitoring.incident.{name}", incident=str(incident.pk))
    return event
