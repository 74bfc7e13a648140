"""The tables of monitoring. Other apps never touch them: they call ``monitoring.services``."""

from monitoring.models.health import Heartbeat

__all__ = ["Heartbeat"]
