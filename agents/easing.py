"""Which strength of model a call is worth, where its version lets that be chosen.

What a tier got wrong of late with tasks as hard as this one makes it harder: answers that could not
be used, and those that a stronger model had to give again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings
from redis.exceptions import RedisError

from agents import tripping
from agents.calls import Call
from agents.domain import messages
from agents.domain.difficulty import Task, estimate, tier_for
from agents.domain.scoring import TIERS
from agents.resolving import Choice
from agents.work import Work
from config import logs
from config.errors import AppError
from scaling import shared

logger = logging.getLogger(__name__)
# Failures of so few calls say nothing. What was counted is forgotten so long after the first of
# it: a tier that is left alone for its failures is tried again.
LEAST_CALLS = 10
KEEP_SECONDS = 3_600
# Tasks are counted in so many bands of difficulty: what one band fails at, another may do well.
BANDS = 5


def choose(call: Call, choice: Choice) -> dict[str, Any] | None:
    """The tier for this call and why, as the record keeps it; None where there is no choice.

    Nor is there one in a batch, which goes to one model as a whole.
    """
    version = choice.version
    if call.ask is not None or not settings.MODEL_ROUTING:
        return None
    if len(version.tiers) < 2 or version.model.get("name"):
        return None
    said = call.messages or []
    task = Task(
        text=messages.text_of(said[-1]) if said else json.dumps(call.inputs, default=str),
        tools=len(version.all_tools) + len(call.caller_tools),
        turns=max(0, len(said) - 1),
        declared=version.tier,
    )
    looks = estimate(task)
    band = min(BANDS - 1, int(looks.score * BANDS))
    found, tier = looks, tier_for(looks.score, version.tiers)
    if failed := _failed_ratio(version.id, tier, band):
        found = estimate(replace(task, failed_ratio=failed))
        tier = tier_for(found.score, version.tiers)
    if call.is_live and TIERS.index(tier) < TIERS.index(version.tier):
        tier = version.tier  # what its reader has had can't be asked for again
    return {"tier": tier, "asked": version.tier, "score": found.score, "signs": found.signs,
            "band": band}  # fmt: skip


def note(
    call: Call, choice: Choice, work: Work, error: AppError | None, route: dict[str, Any] | None
) -> None:
    """Remember how a call that went where ``route`` says ended; where Redis is away, don't."""
    if route is None or "score" not in route or not work.tries:
        return
    calls, failed = _keys(choice.version.id, route["tier"], route["band"])
    helped = work.escalated is not None and work.escalated.get("helped", False)
    try:
        pipe = shared.client().pipeline(transaction=False)
        pipe.set(calls, 0, ex=KEEP_SECONDS, nx=True)
        pipe.set(failed, 0, ex=KEEP_SECONDS, nx=True)
        pipe.incr(calls)
        if helped or tripping.is_versions(call, choice, work, error):
            pipe.incr(failed)
        pipe.execute()
    except RedisError as away:
        logs.event(logger, "agents.easing.uncounted", level=logging.WARNING,
                   error=type(away).__name__)  # fmt: skip


def _failed_ratio(version_id: UUID, tier: str, band: int) -> float:
    """Share of the last hour's calls of a version, at a tier and as hard, that went wrong there."""
    try:
        found: Any = shared.client().mget(_keys(version_id, tier, band))
    except RedisError as away:
        logs.event(logger, "agents.easing.uncounted", level=logging.WARNING,
                   error=type(away).__name__)  # fmt: skip
        return 0.0
    calls, failed = (int(one or 0) for one in found)
    return failed / calls if calls >= LEAST_CALLS else 0.0


def _keys(version_id: UUID, tier: str, band: int) -> tuple[str, str]:
    """Where calls are counted, and those that failed."""
    name = shared.key("easing", version_id, tier, band)
    return f"{name}:calls", f"{name}:failed"
