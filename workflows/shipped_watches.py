"""The watches that come with the library: what a firm would not want to learn too late."""

from __future__ import annotations

from typing import Any

from workflows.models import Watch, Workflow

WATCHES: dict[str, dict[str, Any]] = {
    # A month and a few days: the close of last month has not come.
    "month-end-close-overdue": {
        "title": "The month-end close is overdue",
        "condition": {"kind": "overdue", "after": "35d"},
        "workflow_name": "month_end_close",
        "every_seconds": 3600,
    },
    # A quarter and a week.
    "independence-check-overdue": {
        "title": "Independence was last checked more than a quarter ago",
        "condition": {"kind": "overdue", "after": "99d"},
        "workflow_name": "independence_monitoring",
        "every_seconds": 3600,
    },
    "ledger-arrived": {
        "title": "A ledger came that no audit has used",
        "condition": {"kind": "arrival", "name": "*ledger*.csv", "within": "14d"},
        "workflow_name": "annual_audit",
        "inputs": {"client": "${ client.name }", "ledger": "${ artifact.id }"},
        "every_seconds": 300,
    },
}


def keep_shipped() -> int:
    """Write the shipped watches; what somebody changed of them, switched off or on, stays."""
    known = set(Workflow.objects.values_list("name", flat=True))
    made = 0
    for slug, settings in WATCHES.items():
        if settings["workflow_name"] in known:
            about = {**settings, "is_shipped": True}
            _, new = Watch.objects.get_or_create(slug=slug, defaults=about)
            made += new
    return made
