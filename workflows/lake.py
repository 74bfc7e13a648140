"""What workflows give to a data lake: runs and steps that have ended, by the day they did."""

from __future__ import annotations

from monitoring.lake import FLAG, MONEY, TEXT, TIME, WHOLE, Dataset, plain

_ENDED = "ended_at >= %(since)s AND ended_at < %(until)s"

DATASETS = (
    Dataset(
        "runs",
        "workflows_run",
        {
            **plain("id", "client_id", "version_id", "started_by_id", "parent_step_id",
                    cast="::text"),
            "workflow": ("workflow_name", TEXT),
            **plain("state", "priority"),
            "error_code": ("error->>'code'", TEXT),
            **plain("is_demo", kind=FLAG),
            **plain("created_at", "started_at", "ended_at", kind=TIME),
        },
        _ENDED,
        order="ended_at, id",
    ),
    Dataset(
        "steps",
        "workflows_steprun",
        {
            **plain("id", "run_id", "invocation_id", cast="::text"),
            **plain("key", "kind", "state", "queue"),
            **plain("item", "iteration", "attempt", kind=WHOLE),
            "error_code": ("error->>'code'", TEXT),
            **plain("cost_usd", kind=MONEY),
            **plain("queued_at", "started_at", "ended_at", kind=TIME),
        },
        _ENDED,
        order="ended_at, id",
    ),
)  # fmt: skip
