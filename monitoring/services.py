"""What other apps may ask of monitoring: take a note of what happened. Nothing comes back up."""

from __future__ import annotations

from monitoring.audit import Audited, audit, audit_all, digest_of

__all__ = ["Audited", "audit", "audit_all", "digest_of"]
