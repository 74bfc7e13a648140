"""Who is on call for what, and changes to it. Who is told is a personal channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q

from config.errors import Conflict, InvalidInput, NotFound
from monitoring.audit import audit
from monitoring.domain import oncall
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.oncall import Override, Plan, Shift
from monitoring.models import Channel, Rota, RotaOverride, RotaPlace

RANK = {severity.value: place for place, severity in enumerate(Severity)}
MOST_PEOPLE = 50


def plan_of(rota: Rota) -> Plan:
    """What decides who is on call: people that can be told, and overrides, in order."""
    places = rota.places.filter(channel__is_active=True)
    overrides = rota.overrides.filter(channel__is_active=True)
    return Plan(
        people=tuple(str(one) for one in places.values_list("channel_id", flat=True)),
        first_day=rota.first_day, hand_over_at=rota.hand_over_at, time_zone=rota.time_zone,
        shift_days=rota.shift_days,
        overrides=tuple(
            Override(str(one.channel_id), one.starts_at, one.ends_at) for one in overrides
        ),
    )  # fmt: skip


def covering(domain: str) -> list[Rota]:
    """The rotas of a domain; where no rota names it, those that name none."""
    rows = list(Rota.objects.filter(is_active=True))
    named = [rota for rota in rows if domain and domain in rota.domains]
    return named or [rota for rota in rows if not rota.domains]


def on_call(*, domain: str, severity: str, level: int, now: datetime) -> list[Channel]:
    """Whom each rota of the domain names at an escalation ``level``: 0 is who is on call.

    After the last one the first one is asked again. A rota is left out below its severity.
    """
    found: dict[str, None] = {}
    for rota in covering(domain):
        people = oncall.order(plan_of(rota), now)
        if people and RANK[severity] >= RANK[rota.min_severity]:
            found[people[level % len(people)]] = None
    return list(Channel.objects.filter(pk__in=found))


def named(shifts: Sequence[Shift]) -> list[dict[str, Any]]:
    """Shifts with the names of their channels."""
    rows = Channel.objects.filter(pk__in={one.person for one in shifts})
    names = {str(key): name for key, name in rows.values_list("pk", "name")}
    return [
        {"channel": one.person, "name": names.get(one.person, ""), "starts_at": one.starts_at,
         "ends_at": one.ends_at, "stands_in": one.stands_in}
        for one in shifts
    ]  # fmt: skip


def upcoming(rota: Rota, *, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Who is on call between the two times. Raises InvalidInput for more than a year."""
    return named(oncall.shifts(plan_of(rota), since, until))


@transaction.atomic
def create_rota(
    *, name: str, people: Sequence[UUID], first_day: date, actor: str,
    domains: Sequence[str] = (), min_severity: str = Severity.HIGH.value,
    hand_over_at: time = time(9), time_zone: str = "UTC", shift_days: int = 7,
) -> Rota:  # fmt: skip
    """A rota of these channels in this order. Raises InvalidInput, and Conflict for its name."""
    if not 1 <= len(people) <= MOST_PEOPLE or len(set(people)) < len(people):
        raise InvalidInput("people", len(people), f"1 to {MOST_PEOPLE} different channels")
    channels = {row.pk: row for row in Channel.objects.filter(pk__in=people)}
    for key in people:
        if key not in channels:
            raise InvalidInput("people", str(key), "the id of a channel")
        if not channels[key].is_personal:
            raise InvalidInput("people", str(key), "a personal channel; this one tells a team")
    try:
        with transaction.atomic():
            rota = Rota.objects.create(
                name=name, domains=list(domains), min_severity=min_severity, first_day=first_day,
                hand_over_at=hand_over_at, time_zone=time_zone, shift_days=shift_days,
            )  # fmt: skip
    except IntegrityError:
        raise Conflict("rota", name, "a name that no other rota has") from None
    RotaPlace.objects.bulk_create(
        RotaPlace(rota=rota, position=place, channel_id=key) for place, key in enumerate(people)
    )
    audit(actor=actor, action="monitoring.rota.created", target=f"rota:{rota.pk}",
          after={"name": name, "people": [str(key) for key in people]})  # fmt: skip
    return rota


@transaction.atomic
def stand_in(
    rota_id: UUID, *, channel_id: UUID, starts_at: datetime, ends_at: datetime, reason: str,
    actor: str,
) -> RotaOverride:  # fmt: skip
    """Put somebody on call for a time, whoever's turn it is. Raises NotFound, InvalidInput."""
    rota = rota_of(rota_id)
    if not starts_at < ends_at <= starts_at + oncall.LONGEST:
        raise InvalidInput("ends_at", ends_at.isoformat(),
                           f"after starts_at, within {oncall.LONGEST.days} days")  # fmt: skip
    personal = Q(is_personal=True, is_active=True)
    if not Channel.objects.filter(personal, pk=channel_id).exists():
        raise InvalidInput("channel", str(channel_id), "the id of an active personal channel")
    made = RotaOverride.objects.create(
        rota=rota, channel_id=channel_id, starts_at=starts_at, ends_at=ends_at, reason=reason,
        created_by=actor,
    )  # fmt: skip
    audit(actor=actor, action="monitoring.rota.overridden", target=f"rota:{rota.pk}",
          after={"channel": str(channel_id), "from": starts_at, "until": ends_at})  # fmt: skip
    return made


@transaction.atomic
def withdraw(rota_id: UUID, override_id: UUID, *, actor: str) -> None:
    """Take an override away; the turns hold again. Raises NotFound."""
    gone, _ = RotaOverride.objects.filter(pk=override_id, rota_id=rota_id).delete()
    if not gone:
        raise NotFound("override", override_id)
    audit(actor=actor, action="monitoring.rota.override_withdrawn", target=f"rota:{rota_id}",
          before={"override": str(override_id)})  # fmt: skip


def rota_of(rota_id: UUID) -> Rota:
    """The rota of this id. Raises NotFound."""
    rota = Rota.objects.filter(pk=rota_id).first()
    if rota is None:
        raise NotFound("rota", rota_id)
    return rota
