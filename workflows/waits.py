"""Steps that wait for a time or a signal. A signal may come before the step that waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from config.errors import InvalidInput
from workflows import payloads
from workflows.contexts import RunFacts, with_steps
from workflows.database import database_time, execute, from_json
from workflows.domain.definition import Step
from workflows.domain.expressions import compile_template
from workflows.domain.transitions import RunState, duration_seconds

_OPEN = """
UPDATE workflows_steprun SET state = 'waiting', started_at = clock_timestamp(), attempt = 1,
    wake_at = %(wake)s
WHERE id = %(id)s AND state = 'pending'
"""

_TAKE = """
UPDATE workflows_signal SET taken_by_step = %(step)s
WHERE id = (SELECT id FROM workflows_signal
            WHERE run_id = %(run)s AND name = %(name)s AND taken_by_step IS NULL
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING payload::text
"""

_STATE = "SELECT state FROM workflows_run WHERE id = %(run)s FOR SHARE"
_HOLD = "UPDATE workflows_steprun SET wake_at = now() WHERE id = %(id)s AND state = 'pending'"


def is_held(step_id: UUID, run_id: UUID) -> bool:
    """Whether a ready step's run is paused: it is decided anew when that goes on.

    A pause that comes now waits until what is not held has begun.
    """
    if execute(_STATE, {"run": run_id})[0][0] != RunState.PAUSED:
        return False
    execute(_HOLD, {"id": step_id})
    return True


def open_for(step_id: UUID, step: Step, facts: RunFacts) -> tuple[bool, Any]:
    """Begin to wait; (True, payload) if there is nothing left to wait for.

    Raises InvalidInput when ``until`` is no time.
    """
    signal = step.options.get("signal")
    if signal:
        # Held against a sender that would neither be seen here nor see this step waiting.
        execute("SELECT 1 FROM workflows_run WHERE id = %(run)s FOR SHARE", {"run": facts.run_id})
        found, payload = take_signal(facts, signal, step_id)
        if found:
            return True, payload
        limit = step.options.get("timeout")
        wake = database_time() + timedelta(seconds=duration_seconds(limit)) if limit else None
    else:
        wake = _until(step, facts)
        if wake <= database_time():
            return True, None
    execute(_OPEN, {"id": step_id, "wake": wake})
    return False, None


def take_signal(facts: RunFacts, name: str, step_id: UUID) -> tuple[bool, Any]:
    """Take the oldest signal ``name`` of a run that nobody has taken."""
    rows = execute(_TAKE, {"run": facts.run_id, "name": name, "step": step_id})
    if not rows:
        return False, None
    of = {"client_id": facts.client_id, "run_id": facts.run_id}
    return True, payloads.expand_each(from_json(rows[0][0]), **of)


def _until(step: Step, facts: RunFacts) -> datetime:
    if "for" in step.options:
        return database_time() + timedelta(seconds=duration_seconds(step.options["for"]))
    template = compile_template(step.options["until"])
    value = template.render(with_steps(facts, template.steps, names=template.names))
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(f"{step.key}.wait.until", value, "must be an RFC 3339 time") from None
    return at if timezone.is_aware(at) else at.replace(tzinfo=timezone.get_default_timezone())
