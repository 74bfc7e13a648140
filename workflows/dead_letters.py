"""Steps that were put aside: given out too often, or of unknown outcome. A person decides."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from agents import services as agents
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from workflows import dispatch, documents, endings, measuring, payloads, queries, undoing
from workflows.database import execute
from workflows.domain.documents import json_text
from workflows.domain.transitions import RunState
from workflows.plans import plan_for

# Codes of a step that may have acted: its worker was lost, or its tool never reported.
UNKNOWN = ("outcome_unknown", "effect_unknown")
# What a person may say of it; nothing of one that was given out too often.
OUTCOMES = ("", "happened", "did_not_happen")
STILL_RUNS = (
    "one that has not ended, because nothing is done in it any more; do by hand what is left, then "
    "say that it happened"
)

# The run is locked first: it may be about to take its end.
_RUN = """
SELECT r.id, r.client_id, r.version_id, r.state FROM workflows_run r
JOIN workflows_steprun s ON s.run_id = r.id
WHERE s.id = %(id)s AND s.state = 'dead' AND (%(all)s OR r.client_id = ANY(%(clients)s))
FOR UPDATE OF r
"""

# Of a run that has ended nothing is given out, because nobody would take it.
_MOVE = """
WITH dead AS (
    SELECT id, error->>'code' AS code FROM workflows_steprun
    WHERE id = %(id)s AND state = 'dead' FOR UPDATE
)
UPDATE workflows_steprun s SET deliveries = 0, error = NULL,
    state = CASE WHEN %(ended)s THEN 'succeeded' ELSE 'queued' END,
    output = CASE WHEN %(ended)s THEN %(output)s::jsonb ELSE s.output END,
    queued_at = CASE WHEN %(ended)s THEN s.queued_at ELSE now() END,
    wake_at = CASE WHEN %(ended)s THEN NULL ELSE now() + %(patience)s END,
    ended_at = CASE WHEN %(ended)s THEN clock_timestamp() ELSE s.ended_at END
FROM dead WHERE s.id = dead.id RETURNING s.key, s.queue, coalesce(dead.code, ''), s.state
"""


def requeue(caller: Caller, step_id: UUID | str, *, outcome: str = "", output: Any = None) -> str:
    """Give a dead letter out again, with its deliveries forgotten; the state that it is in now.

    Of a step whose outcome is unknown the caller may say what it found out: that it ``happened``,
    with the ``output`` that it would have given, so that it is not done again; or that it
    ``did_not_happen``. Of a run that has ended it can only be said that it happened: a
    compensation that was never seen to end. Raises NotFound, InvalidInput, Conflict.
    """
    caller.require("runs:control", "requeue dead letters")
    try:
        key = step_id if isinstance(step_id, UUID) else UUID(str(step_id))
    except ValueError:
        raise NotFound("dead letter", step_id) from None
    result = _result(outcome, output)
    with transaction.atomic():
        seen = {"all": caller.client_ids is None, "clients": list(caller.client_ids or ())}
        rows = execute(_RUN, {"id": key, **seen})
        if not rows or not queries.visible_runs(caller).filter(pk=rows[0][0]).exists():
            raise NotFound("dead letter", step_id)
        run_id, client_id, version_id, state = rows[0]
        has_ended = RunState(state).is_final
        if has_ended and outcome != "happened":
            raise Conflict("the run of this step", state, STILL_RUNS)
        kept = payloads.shorten(result, client_id=client_id, run_id=run_id, name="output")
        asked = {"id": key, "ended": has_ended, "output": kept, "patience": dispatch.PATIENCE}
        rows = execute(_MOVE, asked)
        if not rows:
            raise NotFound("dead letter", step_id)
        step, queue, code, became = rows[0]
        if outcome and code not in UNKNOWN and not has_ended:
            limit = f"only of a step with {' or '.join(UNKNOWN)}"
            raise InvalidInput("outcome", outcome, limit)
        if outcome and code in UNKNOWN:
            agents.settle_effect(
                effect_id=str(key), tool=documents.target_of(step, plan_for(version_id)),
                client_id=client_id, result=result,
            )  # fmt: skip
        told = {"step": str(key), **({"outcome": outcome} if outcome else {})}
        what = "step.settled" if has_ended else "step.requeued"
        endings.note(run_id, what, actor=caller.name, detail=told)
        measuring.audit_control(caller, run_id, client_id, what, told)
        if has_ended:
            undoing.sum_up(run_id)
            measuring.seal(run_id, client_id, state)
        else:
            dispatch.publish_on_commit([dispatch.Ready(key, run_id, queue)])
    return str(became)


def _result(outcome: str, output: Any) -> dict[str, Any] | None:
    if outcome not in OUTCOMES:
        raise InvalidInput("outcome", outcome, f"one of {' or '.join(OUTCOMES[1:])}, or nothing")
    if output is not None and outcome != "happened":
        raise InvalidInput("output", str(output)[:80], "only with an outcome that happened")
    if outcome != "happened":
        return None
    json_text(output, field="output")
    return output if isinstance(output, dict) else {"result": output}
