"""What monitoring knows of a person, to give out and to erase.

The audit log's entries stay: they hold ids and salted digests, and the chain must verify. What
can be read of a person (payloads, details of security events, mails) goes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Replace

from config.privacy import ERASED, Subject, as_rows, take_name_off
from config.statements import execute
from monitoring.models import (
    Alert,
    AlertRule,
    AuditEntry,
    AuditPayload,
    Channel,
    Incident,
    IncidentEvent,
    RotaOverride,
    SecurityEvent,
    Silence,
)

_FORGET = """
UPDATE monitoring_measurement SET labels = labels - 'user' WHERE labels->>'user' = %(user)s
"""
_NAMED = (
    (Alert, "resolved_by"),
    (AlertRule, "created_by"),
    (Incident, "acknowledged_by"),
    (IncidentEvent, "actor"),
    (RotaOverride, "created_by"),
    (Silence, "created_by"),
)


def export_subject(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Entries about and by the person, payloads, security events, channels to them, mails."""
    by_or_about = Q(user_id=subject.id) | Q(target=subject.principal)
    return {
        "audit_entries": as_rows(AuditEntry.objects.filter(by_or_about).order_by("id")),
        "audit_payloads": as_rows(_payloads(subject)),
        "security_events": as_rows(_events(subject).order_by("id")),
        "channels": [
            {k: v for k, v in row.items() if k != "secret"} for row in as_rows(_channels(subject))
        ],
        "mails": [{"file": path.name, "text": path.read_text()} for path in _mails(subject)],
    }


@transaction.atomic
def erase_subject(subject: Subject, *, keep_records: bool) -> dict[str, int]:
    """Erase what can be read of the person; returns how much of each."""
    payloads = _payloads(subject).delete()[0]
    events = _events(subject).update(detail={}, address=None, user_id=None, actor=ERASED)
    user = str(subject.id)
    execute(_FORGET, {"user": user})
    rollups = execute(
        "WITH gone AS (DELETE FROM monitoring_rollup WHERE scope = 'user' AND key = %(user)s "
        "RETURNING 1) SELECT count(*) FROM gone",
        {"user": user},
    )[0][0]
    named = Incident.objects.filter(summary__contains=subject.principal)
    named.update(summary=Replace("summary", Value(subject.principal), Value(ERASED)))
    mails = list(_mails(subject))
    for path in mails:
        transaction.on_commit(partial(path.unlink, missing_ok=True))
    return {
        "audit_payloads": payloads,
        "security_events": events,
        "rollups": int(rollups),
        "channels": _channels(subject).delete()[0],
        "mails": len(mails),
        "names": take_name_off(subject, _NAMED),
    }


def _payloads(subject: Subject) -> QuerySet[AuditPayload]:
    about = Q(subject_id=subject.id) | Q(
        entry_id__in=AuditEntry.objects.filter(
            Q(target=subject.principal) & ~Q(action__startswith="privacy.")
        ).values("id")
    )
    if subject.email:
        about |= Q(before__icontains=subject.email) | Q(after__icontains=subject.email)
    return AuditPayload.objects.filter(about)


def _events(subject: Subject) -> QuerySet[SecurityEvent]:
    return SecurityEvent.objects.filter(Q(user_id=subject.id) | Q(actor=subject.principal))


def _channels(subject: Subject) -> QuerySet[Channel]:
    return Channel.objects.filter(
        Q(kind=Channel.Kind.EMAIL, address__iexact=subject.email) if subject.email else Q(pk=None)
    )


def _mails(subject: Subject) -> list[Path]:
    """Files of the file-based mail backend that name the person's address."""
    folder = Path(settings.EMAIL_FILE_PATH)
    if not subject.email or not folder.is_dir():
        return []
    address = subject.email.lower()
    found = (path for path in folder.iterdir() if path.is_file())
    return [path for path in found if address in path.read_text(errors="replace").lower()]
