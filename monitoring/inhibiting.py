"""Alerts of agents while their endpoint is known to fail: on record, and not told of themselves.

When the endpoint is well again they are let go: of each only what is measured since then is
judged. One that is well ends; one that still fails has an incident of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime

from monitoring.domain import inhibition
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.inhibition import Told
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, AlertRule, Incident
from monitoring.timeline import note

# What says that an endpoint gives no answer. Whoever is slow or dear explains nobody's failures.
GONE = ("invocation_errors", "invocation_fallbacks")
Kind = AlertRule.Kind
# These look at what was measured of late; a forecast knows what was before the outage, too.
OF_LATE = frozenset({Kind.THRESHOLD, Kind.BASELINE, Kind.BURN_RATE})


def inhibit(
    firing: Sequence[Alert], endpoint_of: Mapping[str, str], failing: Container[str], *,
    now: datetime,
) -> None:  # fmt: skip
    """Mark what follows from an endpoint's critical alert, and let go what follows no more.

    ``endpoint_of`` is what each agent asks now, ``failing`` are the endpoints that answer nearly
    nobody now: an alert that was critical once explains no failure of today. An alert that is
    silenced is told to nobody, and one without data may be of an endpoint that is asked no more:
    nothing follows from these.
    """
    rows = Alert.objects.filter(
        state=AlertState.FIRING, scope="endpoint", severity=Severity.CRITICAL.value,
        is_silenced=False, rule__metric__in=GONE,
    )  # fmt: skip
    sources = {alert.key: alert for alert in rows.order_by("-id")}
    by_id = {str(source.pk): source for source in sources.values()}
    found = inhibition.inhibited(
        (Told(str(a.pk), a.scope, a.key, a.rule.metric) for a in firing if a.rule.kind in OF_LATE),
        {key: str(source.pk) for key, source in sources.items()}, endpoint_of,
    )  # fmt: skip
    changed = []
    for alert in firing:
        source = by_id.get(found.get(str(alert.pk), ""))
        if source is not None and alert.inhibited_by_id is None and source.key not in failing:
            continue
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


def fails_of_itself(alert: Alert) -> bool:
    """Whether it was let go and fails by what was measured since.

    One that is well again fires until it has been so for a while: it is no failure.
    """
    judged, since = alert.rule.evaluated_at, alert.let_go_at
    return (
        since is not None
        and alert.state == AlertState.FIRING
        and alert.clear_since is None
        and judged is not None
        and judged > since
    )


def fail_on(firing: Sequence[Alert], endpoint_of: Mapping[str, str]) -> frozenset[str]:
    """Agents that were let go and fail by what was measured since."""
    failing = (alert.key.partition("|")[0] for alert in firing if fails_of_itself(alert))
    return inhibition.on_their_own(failing, endpoint_of)
