"""Telling people: what is sent through which channel, once, with every try in a row.

Messages are rows, written with the incident's change and sent after it. A message says what an
incident is, how bad, and where to look; it holds no text of any prompt or answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models import F, Func, JSONField, Q, TextField, Value
from django.utils import timezone

from config import logs, readable
from monitoring import posting, rotas
from monitoring.domain.anomaly.severity import Severity
from monitoring.models import Channel, Delivery, Incident

logger = logging.getLogger(__name__)
State = Delivery.State
RANK = {severity.value: place for place, severity in enumerate(Severity)}
# Seconds until the next try: about an hour in all, then it has failed for good.
PAUSES = (15, 60, 300, 900, 1800)
# A try that never reported back may be made again after this.
CLAIMED_FOR = timedelta(minutes=2)
# Messages that ask whoever is on call; the others only go on with who was asked.
CALLING = ("opened", "updated", "escalated")
# An incident of which nothing is measured any more.
UNMEASURED = "unmeasured"
GIVEN_UP = (
    "Nothing is measured of it any more, so nobody is called on until something is; "
    "after six hours of this it ends."
)
# Whoever was paged through it stays paged until these come.
PAGER_ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve"}


def enqueue(
    incident: Incident, name: str, *, alerts: int, level: int = 0, now: datetime | None = None
) -> int:
    """Write one message for every channel that should be told; returns how many.

    Teams are told by their channel's rules; of people, who is on call (at ``level``) and who
    was told of this incident before. What comes in a channel's quiet hours waits for their end,
    in one message; of an incident that ends before, nothing is told.
    """
    now = now or timezone.now()
    if name == "resolved":
        drop_held(incident)
    called = {one.pk for one in on_call(incident, name, level, now)}
    wanted = [
        channel
        for channel in Channel.objects.filter(is_active=True)
        if channel.pk in called or _is_wanted(channel, incident, name, level, now)
    ]
    loud = incident.severity == Severity.CRITICAL.value
    held = [one for one in wanted if not loud and _waits(one, called, name, now)]
    at_once = [one for one in wanted if one not in held]
    _hold(incident, name, held, alerts=alerts, now=now)
    return tell(incident, name, at_once, alerts=alerts) + len(held)


def drop_held(incident: Incident, **only: Any) -> None:
    """Take back what waits for the end of quiet hours, and nobody has begun to send."""
    held = incident.deliveries.filter(body__held=True, state=State.WAITING)
    held.filter(**only).delete()


def _waits(channel: Channel, called: set[UUID], name: str, now: datetime) -> bool:
    if channel.pk in called or not is_quiet(channel, now):
        return False
    # Also at night: what it was told of would ring there for ever.
    return not (name == "resolved" and channel.kind == Channel.Kind.PAGER)


def _hold(
    incident: Incident, name: str, channels: Sequence[Channel], *, alerts: int, now: datetime
) -> None:
    """One message for each, due when its quiet hours end; a later one takes its place."""
    waiting = incident.deliveries.filter(body__held=True, state=State.WAITING)
    for channel in channels:
        before = waiting.filter(channel=channel).first()
        called = before.name if before else name
        body = _held(incident, called, name, alerts)
        if before and waiting.filter(pk=before.pk).update(body=body):
            continue
        # There is none, or somebody has begun to send it meanwhile: then this is one more.
        Delivery.objects.create(
            channel=channel, incident=incident, name=name,
            body=_held(incident, name, name, alerts), next_at=_end_of_quiet(channel, now),
        )  # fmt: skip


def _held(incident: Incident, called: str, name: str, alerts: int) -> dict[str, Any]:
    """The body of a message that goes by the name of the first one, and says what ``name`` does."""
    return {**_body(incident, called, alerts, given_up=name == UNMEASURED), "held": True}


def _end_of_quiet(channel: Channel, now: datetime) -> datetime:
    end = datetime.combine(now.date(), channel.quiet_until or now.time(), tzinfo=now.tzinfo)
    return end if end > now else end + timedelta(days=1)


def tell(incident: Incident, name: str, channels: Sequence[Channel], *, alerts: int) -> int:
    """Write one message for each of these channels; returns how many."""
    body = _body(incident, name, alerts, given_up=name == UNMEASURED)
    rows = [Delivery(channel=one, incident=incident, name=name, body=body) for one in channels]
    Delivery.objects.bulk_create(rows)
    return len(rows)


def tell_pagers(incident: Incident, name: str) -> int:
    """The same, for the pagers alone that were told of this incident: they escalate, too."""
    drop_held(incident, channel__kind=Channel.Kind.PAGER)
    told = Channel.objects.filter(
        kind=Channel.Kind.PAGER, is_active=True, deliveries__incident=incident
    )
    return tell(incident, name, list(told.distinct()), alerts=incident.told_alerts)


def on_call(incident: Incident, name: str, level: int, now: datetime) -> list[Channel]:
    """Whom the rotas call for this message: nobody once somebody has taken the incident on."""
    if name not in CALLING or incident.state != Incident.State.OPEN:
        return []
    level = level or incident.escalation_level
    return rotas.on_call(
        domain=incident.domain, severity=incident.severity, level=level, now=now
    )  # fmt: skip


def _is_wanted(channel: Channel, incident: Incident, name: str, level: int, now: datetime) -> bool:
    if name == UNMEASURED and channel.kind == Channel.Kind.PAGER:
        return False  # whatever a pager is sent rings, and this says that nobody need come
    if channel.is_personal:
        return name != "escalated" and _was_told(channel, incident)
    if name == "resolved":
        if not _was_told(channel, incident):
            return False  # nobody hears of the end of what they never heard of
        if channel.kind == Channel.Kind.PAGER:
            return channel.deliveries.filter(incident=incident).exists()
    if name == "escalated":
        if not 0 < channel.level <= level:
            return False
    elif channel.level > 0 and not _was_told(channel, incident):
        return False  # it hears of an incident only by escalation, and then of its end
    if channel.domains and incident.domain and incident.domain not in channel.domains:
        return False
    if RANK[incident.severity] < RANK[channel.min_severity]:
        return False
    on_rota = (channel.on_call_from is None or channel.on_call_from <= now) and (
        channel.on_call_until is None or now < channel.on_call_until
    )
    return on_rota


def _was_told(channel: Channel, incident: Incident) -> bool:
    """Whether it heard of this incident, or of one whose place it took."""
    about = Q(incident=incident) | Q(incident__merged_into=incident)
    return channel.deliveries.filter(about).exists()


def is_quiet(channel: Channel, now: datetime) -> bool:
    """Whether ``now`` lies in the channel's quiet hours (UTC), which may go over midnight."""
    start, end, at = channel.quiet_from, channel.quiet_until, now.time()
    if start is None or end is None:
        return False
    return start <= at < end if start <= end else at >= start or at < end


# What is being sent is held no more: it counts as told, whatever becomes of the incident.
_NOT_HELD = Func(
    F("body"), Value("held", output_field=TextField()), arg_joiner=" - ",
    template="%(expressions)s", output_field=JSONField(),
)  # fmt: skip


def deliver() -> int:
    """Send what is due; returns how many messages went out. Safe to run twice at once."""
    sent = 0
    now = timezone.now()
    due = Delivery.objects.filter(state=State.WAITING, next_at__lte=now)
    for key in list(due.order_by("next_at").values_list("pk", flat=True)[:100]):
        claimed = Delivery.objects.filter(pk=key, state=State.WAITING, next_at__lte=now).update(
            next_at=now + CLAIMED_FOR, body=_NOT_HELD
        )
        # Its channel or incident may be deleted meanwhile.
        row = Delivery.objects.select_related("channel").filter(pk=key).first() if claimed else None
        sent += _send(row) if row is not None else 0
    return sent


def _send(delivery: Delivery) -> bool:
    if settings.DATABASE_POOL and not connection.in_atomic_block:
        connection.close()  # nothing is held while waiting
    error = ""
    try:
        _through(delivery)
    except Exception as caught:  # whatever a mail server or a web hook may do
        error = f"{type(caught).__name__}: {caught}"[:300]
    tries, now = delivery.tries + 1, timezone.now()
    row = Delivery.objects.filter(pk=delivery.pk)
    if not error:
        row.update(state=State.SENT, tries=tries, sent_at=now, last_error="")
        return True
    final = tries > len(PAUSES)
    row.update(
        state=State.FAILED if final else State.WAITING, tries=tries, last_error=error,
        next_at=now + timedelta(seconds=0 if final else PAUSES[tries - 1]),
    )  # fmt: skip
    logs.event(logger, "monitoring.notification.failed", level=logging.WARNING,
               delivery=str(delivery.pk), tries=tries, final=final)  # fmt: skip
    return False


def _through(delivery: Delivery) -> None:
    channel, body = delivery.channel, delivery.body
    if channel.kind == Channel.Kind.EMAIL:
        EmailMessage(
            subject=body["text"].splitlines()[0][:150], body=body["text"], to=[channel.address]
        ).send(fail_silently=False)
        return
    content: dict[str, Any] = body
    headers = {}
    if channel.kind == Channel.Kind.SLACK:
        content = {"text": body["text"]}
    elif channel.kind == Channel.Kind.PAGER:
        content = _page(channel, body)
    raw = json.dumps(content, sort_keys=True).encode()
    if channel.kind == Channel.Kind.WEBHOOK:
        at = int(timezone.now().timestamp())
        headers = posting.signature(str(delivery.pk), at, raw, channel.secret)
    posting.post(channel.address, raw, headers, may_be_private=channel.may_be_private)


def _page(channel: Channel, body: dict[str, Any]) -> dict[str, Any]:
    """The shape of PagerDuty's Events API v2."""
    severity = {"low": "info", "medium": "warning", "high": "error"}.get(
        body["severity"], "critical"
    )
    return {
        "routing_key": channel.secret,
        "event_action": PAGER_ACTIONS.get(body["event"], "trigger"),
        "dedup_key": body["incident"],
        "payload": {"summary": body["title"], "source": "ratchet", "severity": severity},
    }


def _body(
    incident: Incident, name: str, alerts: int, *, given_up: bool = False
) -> dict[str, Any]:  # fmt: skip
    impact = incident.impact
    taken = list(incident.incident_set.order_by("opened_at"))  # what was merged into it
    places = readable.listed([one.cause for one in taken])
    lines = [
        f"[{incident.severity}] {incident.title} ({name})",
        f"{readable.plural(alerts, 'alert')}; {impact.get('errors', 0)} of "
        f"{impact.get('invocations', 0)} calls failed"
        + (f", {given} were answered by a fallback" if (given := impact.get("fallbacks")) else "")
        + f", {readable.plural(impact.get('users', 0), 'user')} met it.",
        *([GIVEN_UP] if given_up else []),
        *([f"It takes the place of the incident of {places}."] if taken else []),
        f"{settings.PUBLIC_URL}/dashboard/incidents/{incident.pk}",
    ]
    return {
        "event": name,
        "incident": str(incident.pk),
        "title": incident.title,
        "severity": incident.severity,
        "cause": incident.cause,
        "alerts": alerts,
        "took_over": [str(one.pk) for one in taken],
        "impact": impact,
        "text": "\n".join(lines),
    }
