"""The weekly search: rules first, then a search by model where people or errors name an agent."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents import evidence
from config import logs
from config.errors import AppError
from learning import optimizer, proposing
from learning.asking import corrected_questions
from learning.domain.goals import Goal
from learning.models import Improvement, Study

logger = logging.getLogger(__name__)
# Searches of one weekly cycle, and what each may cost.
MOST_SEARCHES = 3
CAP_USD = Decimal("0.5")


def propose(slug: str, until: datetime, *, client_id: UUID, asked_by: str) -> dict[str, Any]:
    """What the rules propose for one agent; and where a pattern is behind it, what a search finds.

    The search rewrites the prompt from the pattern's own words (by a model where one can be asked)
    and proposes the best variant that holds on cases that had no part in choosing it.
    """
    found = proposing.propose_by_rule(slug, until, client_id=client_id)
    if not _is_worth_it(slug, until, asked_by):
        return found
    try:
        body = optimizer.vary(
            agent=slug, goals=[Goal.IMPROVE_ACCURACY], client_id=client_id, asked_by=asked_by,
            cap_usd=CAP_USD, propose=True,
        )  # fmt: skip
    except AppError as error:  # no money, no model: the rules' proposals stand
        logs.event(logger, "learning.search.refused", level=logging.WARNING, agent=slug,
                   code=error.code)  # fmt: skip
        return {**found, "search": {"refused": str(error)}}
    made = [one for one in body.get("improvements", ()) if one.get("improvement")]
    found["search"] = {
        "study": body["id"], "cost_usd": body["cost_usd"], "improvements": body["improvements"],
    }  # fmt: skip
    found["improvements"] = [*found["improvements"], *(one["improvement"] for one in made)]
    found["new"] += sum(bool(one["is_new"]) for one in made)
    return found


def _is_worth_it(slug: str, until: datetime, asked_by: str) -> bool:
    """Whether people or failures name it, it can be graded, and the cycle may still search."""
    named = Improvement.objects.filter(
        agent_slug=slug, kind=Improvement.Kind.PROMPT, state=Improvement.State.PROPOSED,
        proposed_by="rules", evidence__has_key="pattern",
    )  # fmt: skip
    if not named.exists() or Study.objects.filter(asked_by=asked_by).count() >= MOST_SEARCHES:
        return False
    return bool(evidence.agent(slug).cases or corrected_questions(slug, until))
