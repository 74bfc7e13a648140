"""The tables of monitoring. Other apps never touch them: they call ``monitoring.services``."""

from monitoring.models.audit import AuditEntry, AuditPayload, AuditPending, AuditSeal
from monitoring.models.health import Heartbeat

__all__ = ["AuditEntry", "AuditPayload", "AuditPending", "AuditSeal", "Heartbeat"]
