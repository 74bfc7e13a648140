"""A day's calls of many agents: asked in bulk through the shipped path, graded by code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from agents import services as agents
from agents.domain.grading import grade
from config.access.callers import Caller
from config.errors import AppError
from learning import feedback

METRIC = "accuracy"
GRADER = "simulation 1"
# Calls of one batch: enough to pay for the way, few enough for progress to be seen.
CALLS_AT_ONCE = 2_500


@dataclass(frozen=True, slots=True)
class Asked:
    """One unit's question: which agent, which unit, at what simulated moment."""

    slug: str
    unit: str
    at: datetime
    version_id: UUID | None = None

    @property
    def total(self) -> int:
        """The figure that a right answer states: four digits, drawn from the unit's name."""
        return 1_000 + self.case % 8_999

    @property
    def case(self) -> int:
        """The unit's own number, so that no two are asked the same; drawn from its name."""
        return int.from_bytes(hashlib.blake2b(self.unit.encode(), digest_size=7).digest())


@dataclass(frozen=True, slots=True)
class Graded:
    """Whether the answer was right, and what it cost; ``is_right`` None: no answer."""

    is_right: bool | None
    cost_usd: Decimal
    invocation_id: UUID | None


def units_of_day(slug: str, name: str, day: int, count: int, start: datetime) -> Iterator[Asked]:
    """The day's new units, spread over its 24 hours."""
    for number in range(count):
        at = start + timedelta(seconds=86_400 * (number + 0.5) / count)
        yield Asked(slug, f"{name}-{day}-{number}", at)


def meet(caller: Caller, asked: Sequence[Asked]) -> list[Graded]:
    """Put every question to its agent, and record how right each answer was, as a score."""
    found: list[Graded] = []
    for place in range(0, len(asked), CALLS_AT_ONCE):
        part = asked[place : place + CALLS_AT_ONCE]
        graded = _answers(caller, part)
        feedback.score_all(
            caller=caller, name=METRIC, source="code", source_version=GRADER,
            values={
                g.invocation_id: float(g.is_right)
                for g in graded if g.invocation_id is not None and g.is_right is not None
            },
        )  # fmt: skip
        found += graded
    return found


def ask_pinned(caller: Caller, asked: Sequence[Asked]) -> list[Graded]:
    """The same for chosen versions, outside of every split and left out of live figures."""
    found: list[Graded] = []
    for place in range(0, len(asked), CALLS_AT_ONCE):
        found += _answers(caller, asked[place : place + CALLS_AT_ONCE])
    return found


def _answers(caller: Caller, asked: Sequence[Asked]) -> list[Graded]:
    answers = agents.answer_all(
        [
            agents.Call(
                agent=one.slug, inputs={"case": one.case, "total": one.total},
                client_id=caller.home_client_id, unit=one.unit, asked_at=one.at,
                version_id=one.version_id, is_demo=one.version_id is not None,
            )
            for one in asked
        ]
    )  # fmt: skip
    return [_graded(one, answer) for one, answer in zip(asked, answers, strict=True)]


def _graded(one: Asked, answer: agents.Answer | AppError) -> Graded:
    if isinstance(answer, AppError):
        return Graded(None, Decimal(0), None)
    right = grade(str(answer.output["text"]), [{"number": one.total}]).passed
    return Graded(right, answer.cost_usd, answer.invocation_id)
