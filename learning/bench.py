"""Asking versions graded questions within a cap and a time, and what the answers compare to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents import connections
from agents.domain.context import estimate_tokens
from agents.errors import BudgetExceeded
from config.readable import plural
from learning.asking import Asked, Question, Unanswered, ask
from learning.models import Study

THREADS = 4


@dataclass(slots=True)
class Bench:
    """Asks versions graded questions within a budget and a time, and remembers every answer."""

    study: Study
    until: float
    is_stopped: str = ""
    # Which budget had too little left for one more answer, and how much that may cost.
    refused_by: str = ""
    # Keys of the cases that were answered, by whichever version.
    answered: set[str] = field(default_factory=set)
    # Why each answer is missing that neither money nor time kept away.
    silent: list[str] = field(default_factory=list)

    def score(self, version_id: UUID, questions: Sequence[Question]) -> list[Asked | None]:
        """A graded answer to each question; None without one: money, time, a person's word."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="study") as pool:
            return list(pool.map(lambda q: self._one(version_id, q), questions))

    def _one(self, version_id: UUID, question: Question) -> Asked | None:
        try:
            if self.is_stopped or time.monotonic() > self.until:
                self.is_stopped = self.is_stopped or "the time was up"
                return None
            told = ask(self.study.pk, self.study.agent_slug, question, version_id)
            self.answered.add(question.case.key)  # one step of the interpreter: threads may
            return told
        except BudgetExceeded as error:
            self.is_stopped = "the cap was reached"
            self.refused_by = str(error)
            return None
        except Unanswered as error:
            self.silent.append(str(error))
            return None
        finally:
            connections.end_of_work()


def estimated(tokens: int, prompt: str) -> dict[str, Any]:
    share = tokens / max(estimate_tokens(prompt), 1)
    return {
        "how": "from the prompt's length; accuracy was not measured",
        "prompt_tokens_ratio": round(share, 4), "score_difference": None, "cost_ratio": None,
    }  # fmt: skip


def measured(
    before: Sequence[Asked | None], after: Sequence[Asked | None], *, part: str
) -> dict[str, Any] | None:
    """Score and cost beside the base's on the cases that both answered; None if none was.

    Costs are those without a discount on remembered prompts, so that the order of asking is no
    part of them.
    """
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if b and a]
    if not pairs:
        return None
    base, other = (sum(pair[side].graded.score for pair in pairs) for side in (0, 1))
    spent, spends = (sum((pair[side].full_usd for pair in pairs), Decimal(0)) for side in (0, 1))
    return {
        "how": f"measured on {plural(len(pairs), f'graded {part} case')}",
        "cases": len(pairs),
        "base_score": round(base / len(pairs), 4),
        "score": round(other / len(pairs), 4),
        "score_difference": round((other - base) / len(pairs), 4),
        "cost_ratio": round(float(spends / spent), 4) if spent else None,
    }


def rank(effect: Mapping[str, Any]) -> tuple[float, float]:
    return (effect["score_difference"] or 0.0, -(effect["cost_ratio"] or 1.0))
