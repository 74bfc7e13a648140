"""What monitoring knows of a person, to give out and to erase.

The audit log's entries stay: they hold ids and salted digests, and the chain must verify. What
can be read of a person (payloads, details of security events) goes.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from monitoring.models import AuditEntry, AuditPayload, SecurityEvent
from monitoring.writing import execute

_FORGET = """
UPDATE monitoring_measurement SET labels = labels - 'user' WHERE labels->>'user' = %(user)s
"""


def export_subject(subject_id: UUID) -> dict[str, Any]:
    """Everything about the person, ready for JSON."""
    entries = AuditEntry.objects.filter(user_id=subject_id).order_by("id")
    payloads = AuditPayload.objects.filter(subject_id=subject_id)
    events = SecurityEvent.objects.filter(user_id=subject_id).order_by("id")
    return {
        "audit_entries": [
            {"at": e.at.isoformat(), "action": e.action, "target": e.target}
            for e in entries.iterator()
        ],
        "audit_payloads": [
            {"entry": str(p.entry_id), "before": p.before, "after": p.after}
            for p in payloads.iterator()
        ],
        "security_events": [
            {"at": e.at.isoformat(), "kind": e.kind, "detail": e.detail} for e in events.iterator()
        ],
    }


@transaction.atomic
def erase_subject(subject_id: UUID) -> dict[str, int]:
    """Erase what can be read of the person; returns how much of each."""
    payloads, _ = AuditPayload.objects.filter(subject_id=subject_id).delete()
    events = SecurityEvent.objects.filter(user_id=subject_id).update(
        detail={}, address=None, user_id=None, actor="erased"
    )
    execute(_FORGET, {"user": str(subject_id)})
    rollups = execute(
        "WITH gone AS (DELETE FROM monitoring_rollup WHERE scope = 'user' AND key = %(user)s "
        "RETURNING 1) SELECT count(*) FROM gone",
        {"user": str(subject_id)},
    )[0][0]
    return {"audit_payloads": payloads, "security_events": events, "rollups": int(rollups)}
