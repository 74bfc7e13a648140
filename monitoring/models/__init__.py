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
from monitoring.models.audit import AuditEntry, AuditIntent, AuditPayload, AuditPending, AuditSeal
from monitoring.models.health import Heartbeat
from monitoring.models.measurements import (
    Measurement,
    MetricTotal,
    Rollup,
    RollupMark,
    RollupWindow,
)
from monitoring.models.oncall import Rota, RotaOverride, RotaPlace
from monitoring.models.pages import Board, Mark, SlaReport
from monitoring.models.security import Objective, SecurityEvent
from monitoring.models.traces import ExternalTrace

__all__ = [
    "Action",
    "Alert",
    "AlertRule",
    "AuditEntry",
    "AuditIntent",
    "AuditPayload",
    "AuditPending",
    "AuditSeal",
    "Board",
    "Channel",
    "Delivery",
    "ExternalTrace",
    "Heartbeat",
    "Incident",
    "IncidentEvent",
    "Mark",
    "Measurement",
    "MetricTotal",
    "Objective",
    "Rollup",
    "RollupMark",
    "RollupWindow",
    "Rota",
    "RotaOverride",
    "RotaPlace",
    "SecurityEvent",
    "Silence",
    "SlaReport",
]
