"""Which strength of model a call is worth, where its version lets that be chosen."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from agents import tripping
from agents.calls import Call
from agents.domain import messages
from agents.domain.difficulty import Task, estimate, tier_for
from agents.domain.scoring import TIERS
from agents.resolving import Choice
from agents.work import Work
from config.errors import AppError

# Failures of so few calls say nothing; what was counted is forgotten after this.
LEAST_CALLS = 10
KEEP_SECONDS = 2 * 86_400


def choose(call: Call, choice: Choice) -> dict[str, Any] | None:
    """The tier for this call and why, as the record keeps it; None where there is no choice."""
    version = choice.version
    if len(version.tiers) < 2 or version.model.get("name") or not settings.MODEL_ROUTING:
        return None
    lightest = min(version.tiers, key=TIERS.index)
    said = call.messages or []
    found = estimate(
        Task(
            text=messages.text_of(said[-1]) if said else json.dumps(call.inputs, default=str),
            tools=len(version.all_tools) + len(call.caller_tools),
            turns=max(0, len(said) - 1),
            failed_ratio=_failed_ratio(version.id, lightest),
            declared=version.tier,
        )
    )
    tier = tier_for(found.score, version.tiers)
    return {"tier": tier, "asked": version.tier, "score": found.score, "signs": found.signs}


def note(choice: Choice, route: dict[str, Any] | None, work: Work, error: AppError | None) -> None:
    """Remember how a call that went where ``route`` says ended."""
    if route is None or "score" not in route or not work.tries:
        return
    _count(choice.version.id, route["tier"], "calls")
    if tripping.is_own_fault(error):
        _count(choice.version.id, route["tier"], "failed")


def _failed_ratio(version_id: UUID, tier: str) -> float:
    """Share of today's calls of a version at a tier whose own answer could not be used."""
    found = cache.get_many([_key(version_id, tier, "calls"), _key(version_id, tier, "failed")])
    calls = int(found.get(_key(version_id, tier, "calls"), 0))
    failed = int(found.get(_key(version_id, tier, "failed"), 0))
    return failed / calls if calls >= LEAST_CALLS else 0.0


def _count(version_id: UUID, tier: str, what: str) -> None:
    key = _key(version_id, tier, what)
    cache.add(key, 0, KEEP_SECONDS)
    try:
        cache.incr(key)
    except ValueError:  # it was forgotten between the two
        cache.set(key, 1, KEEP_SECONDS)


def _key(version_id: UUID, tier: str, what: str) -> str:
    return f"easing:{version_id}:{tier}:{what}:{timezone.now():%Y%m%d}"
