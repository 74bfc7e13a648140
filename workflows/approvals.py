"""Opening approvals: one row a level, all written at once, answered from the first to the last."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max

from config.access.ids import uuid7
from config.access.roles import may_act_as
from workflows import payloads
from workflows.contexts import RunFacts, with_steps
from workflows.database import database_time, execute
from workflows.domain.definition import Step
from workflows.domain.expressions import compile_template
from workflows.domain.transitions import duration_seconds
from workflows.models import Approval

_OPEN = """
UPDATE workflows_steprun SET state = 'waiting', started_at = clock_timestamp(), attempt = 1,
    wake_at = %(wake)s
WHERE id = %(id)s AND state = 'pending' RETURNING id
"""

# Who is asked at the second and later levels, when the definition names only the first.
_NEXT_ROLE = {"professional": "manager", "manager": "partner", "reviewer": "administrator"}


def roles_of(step: Step) -> list[str]:
    """The role of each level, from the first."""
    levels = int(step.options.get("levels", 1))
    given: list[str] = list(step.options.get("roles", ()))
    if given:
        return given
    roles = [step.options["role"]]
    while len(roles) < levels:
        roles.append(_NEXT_ROLE.get(roles[-1], roles[-1]))
    return roles


def open_for(step_id: UUID, step: Step, facts: RunFacts) -> None:
    """Ask: write a row for each level, and let the step wait."""
    now = database_time()
    expires = _after(now, step.options.get("timeout"))
    escalate = step.options.get("escalate") or {}
    # The later levels are asked when it is their turn, and wait from then on.
    escalates = _after(now, escalate.get("after"))
    wake = min((at for at in (expires, escalates) if at), default=None)
    if not execute(_OPEN, {"id": step_id, "wake": wake}):
        return
    roles = roles_of(step)
    shown = payloads.short_each(
        _shown(step, facts), client_id=facts.client_id, name=f"{step.key}.shown",
        run_id=facts.run_id,
    )  # fmt: skip
    turn = turn_of(step_id)
    Approval.objects.bulk_create(
        Approval(
            id=uuid7(),
            client_id=facts.client_id,
            run_id=facts.run_id,
            step_id=step_id,
            turn=turn,
            level=level,
            levels=len(roles),
            role=role,
            forbid_self=bool(step.options.get("forbid_self", True)),
            form=step.options.get("form"),
            shown=shown,
            expires_at=expires,
            escalates_at=escalates if level == 1 else None,
            escalates_to=_escalates_to(escalate.get("role", ""), role, level),
        )
        for level, role in enumerate(roles, start=1)
    )


def _escalates_to(to: str, role: str, level: int) -> str:
    """Who may answer a level that nobody answers. A later one is handed up, never down."""
    return to if level == 1 or (to and may_act_as(frozenset({to}), role)) else ""


def begin_level(approval: Approval, after: str | None) -> None:
    """It is the turn of the level behind ``approval``: it escalates so long from now on."""
    now = database_time()
    following = Approval.objects.filter(
        step_id=approval.step_id, turn=approval.turn, level=approval.level + 1,
        state=Approval.State.WAITING,
    ).first()  # fmt: skip
    if following is None:
        return
    escalates = _after(now, after) if following.escalates_to else None
    Approval.objects.filter(pk=following.pk).update(escalates_at=escalates)
    wake = min((at for at in (following.expires_at, escalates) if at), default=None)
    execute(
        "UPDATE workflows_steprun SET wake_at = %(wake)s WHERE id = %(id)s AND state = 'waiting'",
        {"id": approval.step_id, "wake": wake},
    )


def turn_of(step_id: UUID) -> int:
    """Which time a step asks now, from 1."""
    last = Approval.objects.filter(step_id=step_id).aggregate(last=Max("turn"))["last"]
    return int(last or 0) + 1


def withdraw(step_id: UUID) -> bool:
    """Take back what is asked for a step; False if it was answered meanwhile."""
    return bool(
        Approval.objects.filter(step_id=step_id, state=Approval.State.WAITING).update(
            state=Approval.State.WITHDRAWN
        )
    )


def _shown(step: Step, facts: RunFacts) -> Any:
    """What the definition says to show, or the outputs of the steps that it needs."""
    if "show" in step.options:
        template = compile_template(step.options["show"])
        return template.render(with_steps(facts, template.steps, names=template.names))
    context = with_steps(facts, step.needs, names=())
    return {key: value["output"] for key, value in context["steps"].items()}


def _after(now: Any, limit: Any) -> Any:
    return now + timedelta(seconds=duration_seconds(limit)) if limit else None
