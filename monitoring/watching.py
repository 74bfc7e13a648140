"""One pass of the watch: measure, fold, judge, group, escalate. Messages go out on their own."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from config import logs
from monitoring import alerts, depths, handing_over, incidents, rollups, traces, verifying
from monitoring.security_events import security_event

logger = logging.getLogger(__name__)


def watch() -> dict[str, int]:
    """How much of each was done. Every part is safe to run twice at once, or to be killed."""
    now = timezone.now()
    depths.measure_queues()
    done = {"windows": rollups.roll_up()}
    changed = alerts.evaluate(now=now)
    done["alerts"] = len(changed)
    # Before new incidents open: those are told to the new turn by themselves.
    done["handed_over"] = handing_over.hand_over(now=now)
    incidents.group(now=now)
    done["escalated"] = incidents.escalate(now=now)
    done["traces"] = sum(traces.decide(now=now))
    if any(value for name, value in done.items() if name != "windows"):
        logs.event(logger, "monitoring.watch.acted", **done)
    return done


def verify_audit() -> bool:
    """Prove the audit log; what does not hold is a critical security event. True if it holds."""
    report = verifying.verify()
    if report.ok:
        logs.event(logger, "monitoring.audit.verified", entries=report.entries,
                   seconds=round(report.seconds, 1))  # fmt: skip
        return True
    first = report.faults[0]
    with transaction.atomic():
        security_event(
            kind="audit", severity="critical", actor="system:verify_audit", target="audit log",
            detail={"faults": len(report.faults), "kind": first.kind, "sequence": first.sequence,
                    "entry": first.entry_id},
        )  # fmt: skip
    return False
