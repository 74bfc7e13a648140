"""What a run may spend on agents: its own budget and those of the runs around it."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from agents import services as agents
from workflows.database import execute

# What a run may spend and which runs it lies in never change.
_kept: OrderedDict[UUID, tuple[UUID, ...]] = OrderedDict()
_KEPT_RUNS = 512

_CAPS = """
WITH RECURSIVE around AS (
    SELECT id, parent_step_id, client_id, budget_usd FROM workflows_run WHERE id = %(run)s
    UNION ALL
    SELECT r.id, r.parent_step_id, r.client_id, r.budget_usd FROM around a
    JOIN workflows_steprun s ON s.id = a.parent_step_id JOIN workflows_run r ON r.id = s.run_id
)
SELECT id, client_id, budget_usd FROM around WHERE budget_usd IS NOT NULL
"""


def capped_runs(run_id: UUID) -> tuple[UUID, ...]:
    """The run and those around it that have a budget, each opened: a call counts against all."""
    found = _kept.get(run_id)
    if found is None:
        rows = execute(_CAPS, {"run": run_id})
        for run, client, cap in rows:
            agents.open_run_budget(run_id=run, client_id=client, cap_usd=cap)
        found = _kept[run_id] = tuple(run for run, *_ in rows)
        while len(_kept) > _KEPT_RUNS:
            _kept.popitem(last=False)
    return found
