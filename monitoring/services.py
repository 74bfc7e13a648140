"""What other apps may ask of monitoring: take a note of what happened. Nothing comes back up."""

from __future__ import annotations

from monitoring.actions import Asked, is_in_force, report_action, take_actions
from monitoring.audit import audit, audit_all, audited, digest_of, entries_about
from monitoring.domain.chain import Fault
from monitoring.domain.noted import Audited, Measurement
from monitoring.marking import mark
from monitoring.security_events import security_event
from monitoring.stopping import stopped
from monitoring.writing import record

__all__ = [
    "Asked",
    "Audited",
    "Fault",
    "Measurement",
    "audit",
    "audit_all",
    "audited",
    "digest_of",
    "entries_about",
    "is_in_force",
    "mark",
    "record",
    "report_action",
    "security_event",
    "stopped",
    "take_actions",
]
