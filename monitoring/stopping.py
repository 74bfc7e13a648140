"""Agents that a person took out of service: what they did before calls nobody any more."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from monitoring.domain.metrics import SEPARATOR
from monitoring.domain.responses import AGENT_SCOPES
from monitoring.domain.rules import AlertState
from monitoring.marking import mark
from monitoring.models import Alert, Incident


@transaction.atomic
def stopped(agent: str, *, actor: str) -> int:
    """End the agent's own alerts as ``actor`` would; returns how many.

    Nothing more is measured of it, so that they would last for hours. What was measured before
    is forgiven, also by rules that had not judged it yet: only calls after it was resumed begin
    one anew.
    """
    mark(kind="stopped", scope="agent", key=agent, text="taken out of service",
         href=f"/dashboard/agents/{agent}")  # fmt: skip
    about = Q(scope="agent", key=agent) | Q(
        scope__in=AGENT_SCOPES, key__startswith=f"{agent}{SEPARATOR}"
    )
    live = Alert.objects.filter(about).exclude(state=AlertState.RESOLVED)
    # First the incidents, then their alerts, as the watch does.
    locked = Incident.objects.filter(pk__in=live.values("incident"))
    list(locked.select_for_update(no_key=True).order_by("id"))
    ended = [row.pk for row in live.select_for_update().order_by("id")]
    return Alert.objects.filter(pk__in=ended).update(
        state=AlertState.RESOLVED, resolved_at=Now(), resolved_by=actor
    )
