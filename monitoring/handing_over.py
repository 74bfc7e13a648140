"""A shift ends: whoever comes next hears of what is still open."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from monitoring import incidents, notify, rotas
from monitoring.domain import oncall
from monitoring.models import Channel, Incident, Rota

RANK = rotas.RANK


def hand_over(*, now: datetime) -> int:
    """Notice whose turn has begun and tell them of open incidents; returns how many changed."""
    return sum(_look(rota, now) for rota in Rota.objects.filter(is_active=True))


@transaction.atomic
def _look(rota: Rota, now: datetime) -> bool:
    people = oncall.order(rotas.plan_of(rota), now)
    current = people[0] if people else None
    if current == (str(rota.on_call_id) if rota.on_call_id else None):
        return False
    won = Rota.objects.filter(pk=rota.pk, on_call=rota.on_call_id).update(on_call=current)
    if won and current:
        _tell(rota, Channel.objects.get(pk=current))
    return bool(won)


def _tell(rota: Rota, channel: Channel) -> None:
    for incident in Incident.objects.filter(state__in=incidents.OPEN):
        if RANK[incident.severity] < RANK[rota.min_severity]:
            continue
        if rota not in rotas.covering(incident.domain):
            continue
        notify.tell(incident, "handed_over", [channel], alerts=incident.told_alerts)
        incidents.note(incident, "handed_over", detail={"to": channel.name, "rota": rota.name})
