"""Alerts of agents while their endpoint is known to fail: on record, and not told of themselves.

When the endpoint is well again they are let go: of each only what was measured since then is
judged. One that is well ends; one that still fails has an incident of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from monitoring.domain import inhibition
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.inhibition import Told
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, Incident
from monitoring.timeline import note

FIRES = (AlertState.FIRING, AlertState.NO_DATA)


def inhibit(firing: Sequence[Alert], endpoint_of: Mapping[str, str], *, now: datetime) -> None:
    """Mark what follows from an endpoint's critical alert, and let go what follows no more."""
    sources = {
        alert.key: alert
        for alert in Alert.objects.filter(
            state__in=FIRES, scope="endpoint", severity=Severity.CRITICAL.value
        ).order_by("id")
    }
    told = (Told(str(a.pk), a.scope, a.key, a.rule.metric) for a in firing)
    by_id = {str(source.pk): source for source in sources.values()}
    found = inhibition.inhibited(
        told, {key: str(source.pk) for key, source in sources.items()}, endpoint_of
    )
    changed = []
    for alert in firing:
        source = by_id.get(found.get(str(alert.pk), ""))
        if source is not None and alert.inhibited_by_id != source.pk:
            alert.inhibited_by, alert.let_go_at = source, None
            changed.append(alert)
        elif source is None and alert.inhibited_by_id is not None:
            alert.inhibited_by, alert.let_go_at = None, now
            changed.append(alert)
    if changed:
        Alert.objects.bulk_update(changed, ["inhibited_by", "let_go_at"])
        _note_let_go(alert for alert in changed if alert.let_go_at == now)


def _note_let_go(alerts: Iterable[Alert]) -> None:
    counted = Counter(alert.incident_id for alert in alerts)
    for incident in Incident.objects.filter(pk__in=[one for one in counted if one]):
        note(incident, "let_go", detail={"alerts": counted[incident.pk]})


def fail_on(firing: Sequence[Alert], endpoint_of: Mapping[str, str]) -> frozenset[str]:
    """Agents that were let go and fail by what was measured since."""
    return inhibition.on_their_own(
        (
            alert.key.partition("|")[0]
            for alert in firing
            if alert.let_go_at is not None
            and alert.state == AlertState.FIRING
            and alert.rule.evaluated_at is not None
            and alert.rule.evaluated_at > alert.let_go_at
        ),
        endpoint_of,
    )
