"""The tables of monitoring. Other apps never touch them: they call ``monitoring.services``."""

from monitoring.models.alerts import (
    Action,
    Alert,
    AlertRule,
    Channel,
    Delivery,
    Incident,
    IncidentEvent,
    Silence,
)
from monitoring.models.audit import AuditEntry, AuditPayload, AuditPending, AuditSeal
from monitoring.models.health import Heartbeat
from monitoring.models.measurements import (
    Measurement,
    MetricTotal,
    Rollup,
    RollupMark,
    RollupWindow,
)
from monitoring.models.security import Objective, SecurityEvent

__all__ = [
    "Action",
    "Alert",
    "AlertRule",
    "AuditEntry",
    "AuditPayload",
    "AuditPending",
    "AuditSeal",
    "Channel",
    "Delivery",
    "Heartbeat",
    "Incident",
    "IncidentEvent",
    "Measurement",
    "MetricTotal",
    "Objective",
    "Rollup",
    "RollupMark",
    "RollupWindow",
    "SecurityEvent",
    "Silence",
]
