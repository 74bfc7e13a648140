"""Which live alerts are muted now: judged anew in each pass, because silences begin and end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction

from config.errors import Conflict, NotFound
from monitoring.audit import audit
from monitoring.domain.rules import AlertState
from monitoring.models import Alert, Silence


def in_force(now: datetime) -> list[Silence]:
    """Silences that mute at ``now``."""
    return list(Silence.objects.filter(starts_at__lte=now, ends_at__gt=now))


def is_muted(alert: Alert, silences: Iterable[Silence]) -> bool:
    """Whether one of them matches the alert."""
    return any(
        silence.rule_id in (None, alert.rule_id)
        and silence.scope in ("", alert.scope)
        and silence.key in ("", alert.key)
        for silence in silences
    )


def look_again(*, now: datetime) -> None:
    """Mute what a silence matches by now, and let be heard what none does any more."""
    silences = in_force(now)
    live = Alert.objects.exclude(state=AlertState.RESOLVED)
    rows = live if silences else live.filter(is_silenced=True)
    changed: dict[bool, list[UUID]] = {True: [], False: []}
    for alert in rows.only("pk", "rule_id", "scope", "key", "is_silenced"):
        if (muted := is_muted(alert, silences)) != alert.is_silenced:
            changed[muted].append(alert.pk)
    for muted, keys in changed.items():
        if keys:
            Alert.objects.filter(pk__in=keys).update(is_silenced=muted)


@transaction.atomic
def end(silence_id: UUID, *, actor: str, now: datetime) -> Silence:
    """End a silence before its time. Raises NotFound, or Conflict if it has ended."""
    silence = Silence.objects.select_for_update().filter(pk=silence_id).first()
    if silence is None:
        raise NotFound("silence", silence_id)
    if silence.ends_at <= now:
        raise Conflict("silence", "ended", "in force")
    silence.ends_at = now
    silence.save(update_fields=["ends_at"])
    audit(actor=actor, action="monitoring.silence.ended", target=f"silence:{silence.pk}")
    return silence
