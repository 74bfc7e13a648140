"""What other apps may ask of monitoring: take a note of what happened. Nothing comes back up."""

from __future__ import annotations

from monitoring.audit import Audited, audit, audit_all, digest_of
from monitoring.recording import Measurement, record

__all__ = ["Audited", "Measurement", "audit", "audit_all", "digest_of", "record"]
