"""The tables of monitoring. Other apps never touch them: they call ``monitoring.services``."""

from monitoring.models.audit import AuditEntry, AuditPayload, AuditPending, AuditSeal
from monitoring.models.health import Heartbeat
from monitoring.models.measurements import (
    Measurement,
    MetricTotal,
    Rollup,
    RollupMark,
    RollupWindow,
)

__all__ = [
    "AuditEntry",
    "AuditPayload",
    "AuditPending",
    "AuditSeal",
    "Heartbeat",
    "Measurement",
    "MetricTotal",
    "Rollup",
    "RollupMark",
    "RollupWindow",
]
