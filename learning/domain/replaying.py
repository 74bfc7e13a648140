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
from learning.domain.statistics.paired import Paired, bootstrap, mcnemar_of_clusters

# Fewer cases that do not hang together (runs, or calls outside of any) say nothing either way.
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
class Scored:
    """One case's scores. Cases of one ``cluster`` (a run) hang together; empty: it is alone.

    ``answers`` are pairs of scores on the way through a run: right or wrong is counted in them.
    """

    baseline: float
    candidate: float
    cluster: str = ""
    answers: tuple[tuple[float, float], ...] = ()

    def net(self, right: float) -> tuple[int, int]:
        """Answers that only the candidate got right, and those that only the baseline did."""
        pairs = self.answers or ((self.baseline, self.candidate),)
        gained = sum(b < right <= c for b, c in pairs)
        return gained, sum(c < right <= b for b, c in pairs)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both versions over the same cases, in scores and in answers right.

    ``independent``: how many of the cases do not hang together, a run counting once.
    """

    verdict: Verdict
    cases: int
    independent: int
    answers: int
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
            "independent": self.independent,
            "answers": self.answers,
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


def compare(cases: Sequence[Scored], *, rng: np.random.Generator, right: float = 1.0) -> Comparison:
    """The verdict over scores (0 to 1) of both versions, case by case.

    An answer counts as right from a score of ``right``. Runs are drawn and exchanged whole: what
    one run holds goes well or badly together, and counted one by one it would prove too much.
    """
    n = len(cases)
    clusters = [one.cluster or f"alone {place}" for place, one in enumerate(cases)]
    nets: dict[str, int] = {}
    gained = lost = 0
    for cluster, one in zip(clusters, cases, strict=True):
        up, down = one.net(right)
        gained, lost = gained + up, lost + down
        nets[cluster] = nets.get(cluster, 0) + up - down
    sides = [one.baseline for one in cases], [one.candidate for one in cases]
    p_value = mcnemar_of_clusters(list(nets.values()))
    paired = bootstrap(*sides, rng=rng, alpha=ALPHA, clusters=clusters) if n else None
    means = (sum(sides[0]) / n, sum(sides[1]) / n) if n else (0.0, 0.0)
    verdict = _verdict(len(nets), paired, gained, lost, p_value)
    answers = sum(len(one.answers) or 1 for one in cases)
    return Comparison(verdict, n, len(nets), answers, *means, gained, lost, p_value, paired)


def together(by_code: Verdict, by_judge: Verdict | None) -> Verdict:
    """One verdict of two: harm that either sees counts, and neither alone makes up for doubt.

    A judge without cases enough changes nothing; where code has too few, so has the replay.
    """
    if by_judge is None or by_judge is Verdict.TOO_FEW or by_code is Verdict.TOO_FEW:
        return by_code
    both = {by_code, by_judge}
    for found in (Verdict.WORSE, Verdict.INCONCLUSIVE, Verdict.BETTER):
        if found in both:
            return found
    return Verdict.NOT_WORSE


def _verdict(
    independent: int, paired: Paired | None, gained: int, lost: int, p_value: float
) -> Verdict:
    if paired is None or independent < MIN_CASES:
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
