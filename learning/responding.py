"""Carries out what incidents ask of learning: hold a rollout, go on with it, or take it back.

The target is an agent, or an agent and a version (``tax-eu-001|4``). A rollback stays: who wants
the version again starts a new rollout, past its tombstone.
"""

from __future__ import annotations

import logging

from django.db import transaction

from config import logs
from config.errors import AppError, NotFound
from learning import rollouts
from learning.models import Rollout
from monitoring import services as monitoring

logger = logging.getLogger(__name__)
BY = "incident policy"
State = Rollout.State
PAUSE, RESUME, BACK = "pause_rollout", "resume_rollout", "roll_back_rollout"


def respond() -> int:
    """Do what is asked and not yet done; how many actions there were."""
    asked = monitoring.take_actions((PAUSE, RESUME, BACK))
    for action in asked:
        slug = action.target.partition("|")[0].removeprefix("agent:")
        try:
            said, ok = _act(action.kind, slug), True
        except AppError as error:
            said, ok = str(error), False
        monitoring.report_action(action.id, ok=ok, result={"said": said})
        logs.event(logger, "learning.action.done", kind=action.kind, target=slug, ok=ok)
    return len(asked)


def _act(kind: str, slug: str) -> str:
    row = Rollout.objects.filter(agent_slug=slug, state__in=rollouts.OPEN).order_by("-id").first()
    if row is None:
        raise NotFound("open rollout of agent", slug)
    if kind == BACK:
        done = rollouts.back(row, reason="an incident began with it", by=BY)
        return f"rollout {row.pk} {'is rolled back' if done else 'had ended already'}"
    before, after = (
        (State.RUNNING, State.PAUSED) if kind == PAUSE else (State.PAUSED, State.RUNNING)
    )
    if kind == RESUME and row.state_by != BY:
        return f"rollout {row.pk} is {row.state} by {row.state_by} and was left so"
    with transaction.atomic():
        moved = Rollout.objects.filter(pk=row.pk, state=before).update(
            state=after, state_by=BY, state_reason="an incident of its agent"
        )
    return f"rollout {row.pk} is {after if moved else row.state}"
