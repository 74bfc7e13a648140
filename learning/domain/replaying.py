"""Grading answers of two versions to the same recorded questions, and what that says.

A replay screens candidates before the live comparison: it can refuse, and only ``worse`` is
proof. ``not_worse`` bounds the loss by a margin that a live test then narrows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np

from agents.domain.grading import grade, numbers_in
from learning.domain.statistics.paired import Paired, bootstrap, mcnemar

# Fewer cases say nothing either way.
MIN_CASES = 20
# Loss of mean score that a screen tolerates; the live test has a margin of its own.
MARGIN = 0.1
ALPHA = 0.05
# Figures of tools' results that an answer is held to; more are a table, not an answer.
MOST_FIGURES = 12
# Facts taken from one correction.
MOST_FACTS = 6


class Verdict(StrEnum):
    """What a replay says of a candidate."""

    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded question: ``source`` says from where, ``facts`` what a right answer holds.

    Without facts the answer is held to the figures of its own tools' results.
    """

    key: str
    source: str
    facts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Graded:
    """``score`` from 0 to 1; ``missing`` in words."""

    score: float
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both versions over the same cases, in scores and in cases right."""

    verdict: Verdict
    cases: int
    baseline: float
    candidate: float
    gained: int
    lost: int
    mcnemar_p: float
    paired: Paired | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the interval is of candidate minus baseline, 95 %."""
        found = self.paired
        return {
            "verdict": str(self.verdict),
            "cases": self.cases,
            "baseline_score": round(self.baseline, 6),
            "candidate_score": round(self.candidate, 6),
            "difference": round(self.candidate - self.baseline, 6),
            "lower": None if found is None else round(found.lower, 6),
            "upper": None if found is None else round(found.upper, 6),
            "gained": self.gained,
            "lost": self.lost,
            "mcnemar_p": round(self.mcnemar_p, 6),
            "margin": MARGIN,
        }


def grade_answer(text: str, case: Case, tool_facts: Mapping[str, Any]) -> Graded:
    """The share of ``case``'s facts that ``text`` states, or of its tools' figures.

    Without either, an answer that says anything counts as 1.
    """
    facts = case.facts or figures_of(tool_facts)
    if not facts:
        return Graded(1.0 if text.strip() else 0.0)
    missing = tuple(m for fact in facts for m in grade(text, [fact]).missing)
    return Graded(1 - len(missing) / len(facts), missing)


def grade_run(
    parts: Mapping[str, Sequence[Graded]], *, failed: str, outputs: str, case: Case
) -> Graded:
    """A walked run by its answers: the mean over its steps of the mean over a step's answers.

    A run that ``failed`` at a step is worth 0. With facts, its outputs (as text) are held to them.
    """
    if failed:
        return Graded(0.0, (f"the run failed at {failed}",))
    if case.facts:
        return grade_answer(outputs, case, {})
    means = [sum(one.score for one in done) / len(done) for done in parts.values() if done]
    missing = [
        f"{step}: {said}" for step, done in parts.items() for g in done for said in g.missing
    ]
    return Graded(sum(means) / len(means) if means else 1.0, tuple(missing[:MOST_FIGURES]))


def figures_of(tool_facts: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Facts that the top-level figures of tools' results are stated; small counts left out."""
    found: list[dict[str, Any]] = []
    for value in tool_facts.values():
        number = _number(value)
        if number is not None and abs(number) >= 1:
            found.append({"number": str(number)})
    return tuple(found[:MOST_FIGURES])


def facts_of_correction(wrong: str, right: str, question: str = "") -> tuple[dict[str, Any], ...]:
    """What a corrected answer must state: the figures that the correction brought in.

    Figures of the wrong answer or the question prove nothing; none are left for a correction of
    wording, which code cannot grade.
    """
    new = numbers_in(right) - numbers_in(wrong) - numbers_in(question)
    figures = sorted((n for n in new if abs(n) >= 1), key=abs, reverse=True)
    return tuple({"number": str(number)} for number in figures[:MOST_FACTS])


def compare(
    baseline: Sequence[float], candidate: Sequence[float], *, rng: np.random.Generator
) -> Comparison:
    """The verdict over paired scores (0 to 1), case by case.

    A case counts as right at a score of 1. Raises ValueError for sequences of different length.
    """
    if len(baseline) != len(candidate):
        raise ValueError(f"need pairs, got {len(baseline)} and {len(candidate)}")
    n = len(baseline)
    pairs = list(zip(baseline, candidate, strict=True))
    gained = sum(1 for b, c in pairs if b < 1 <= c)
    lost = sum(1 for b, c in pairs if c < 1 <= b)
    p_value = mcnemar(gained, lost)
    paired = bootstrap(baseline, candidate, rng=rng, alpha=ALPHA) if n else None
    means = (sum(baseline) / n, sum(candidate) / n) if n else (0.0, 0.0)
    return Comparison(_verdict(n, paired, gained, lost, p_value), n, *means, gained, lost, p_value,
                      paired)  # fmt: skip


def _verdict(n: int, paired: Paired | None, gained: int, lost: int, p_value: float) -> Verdict:
    if paired is None or n < MIN_CASES:
        return Verdict.TOO_FEW
    if paired.upper < 0 or (lost > gained and p_value < ALPHA):
        return Verdict.WORSE
    if paired.lower > 0:
        return Verdict.BETTER
    return Verdict.NOT_WORSE if paired.lower > -MARGIN else Verdict.INCONCLUSIVE


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Decimal(str(value))
    if isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit():
        return Decimal(value)
    return None
