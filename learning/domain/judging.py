"""Whether a judge may decide: how well it agrees with people, and what sways it.

A judge is trusted by measurement, not by name: against people's labels of the same work (Cohen's
kappa), against the length of what it judges, and against the order in which two answers are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from learning.domain import numeric

# At this value a judge's and a person's score counts as good (0 to 1).
GOOD = 0.5
# Fewer labels can't tell a judge from a coin.
MIN_LABELS = 30
# Substantial agreement (Landis and Koch, Biometrics 33, 1977), and not by luck.
LEAST_KAPPA, LEAST_KAPPA_BOUND = 0.6, 0.4
# A rank correlation of what the judge adds with the answer's length.
MOST_LENGTH_BIAS, LENGTH_ALPHA = 0.3, 0.05
# Pairs asked in both orders, and how many of them may follow the order.
MIN_PAIRS, MOST_SWAYED_RATIO = 10, 0.2


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cohen's kappa with the bounds of its 95 % interval; None where it can't be told."""

    n: int
    agreed: int
    kappa: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class LengthBias:
    """Spearman's rank correlation of judge minus person with length; None below ten labels."""

    n: int
    correlation: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Pairs shown in both orders. ``first`` and ``second``: whatever stood there won twice."""

    pairs: int
    first: int
    second: int
    p_value: float | None

    @property
    def swayed_ratio(self) -> float | None:
        """Share of the pairs whose winner depends on the order."""
        return (self.first + self.second) / self.pairs if self.pairs else None


def agreement(judge: Sequence[bool], people: Sequence[bool]) -> Agreement:
    """How far two raters agree beyond chance.

    Source: Cohen, Educ. Psychol. Meas. 20 (1960); variance by Fleiss, Cohen and Everitt, Psychol.
    Bulletin 72 (1969). Raises ValueError for sequences of different length.
    """
    if len(judge) != len(people):
        raise ValueError(f"need a label of each, got {len(judge)} and {len(people)}")
    n = len(judge)
    agreed = sum(a == b for a, b in zip(judge, people, strict=True))
    if not n:
        return Agreement(0, 0, None, None, None)
    share = {
        (a, b): sum((x, y) == (a, b) for x, y in zip(judge, people, strict=True)) / n
        for a in (False, True)
        for b in (False, True)
    }
    row = {a: share[a, False] + share[a, True] for a in (False, True)}
    column = {b: share[False, b] + share[True, b] for b in (False, True)}
    observed = share[False, False] + share[True, True]
    expected = sum(row[a] * column[a] for a in (False, True))
    if expected >= 1:  # both say one thing only: agreement, but nothing that chance could not do
        return Agreement(n, agreed, None, None, None)
    kappa = (observed - expected) / (1 - expected)
    same = sum(share[a, a] * (1 - (row[a] + column[a]) * (1 - kappa)) ** 2 for a in (False, True))
    other = (1 - kappa) ** 2 * sum(
        share[a, not a] * (column[a] + row[not a]) ** 2 for a in (False, True)
    )
    variance = (same + other - (kappa - expected * (1 - kappa)) ** 2) / (1 - expected) ** 2 / n
    width = 1.959963984540054 * math.sqrt(max(variance, 0.0))
    return Agreement(n, agreed, kappa, max(kappa - width, -1.0), min(kappa + width, 1.0))


def length_bias(
    judge: Sequence[float], people: Sequence[float], lengths: Sequence[int]
) -> LengthBias:
    """Whether a judge adds to what people say where the answer is longer."""
    gaps = [a - b for a, b in zip(judge, people, strict=True)]
    if len(gaps) < 10 or len(set(gaps)) < 2 or len(set(lengths)) < 2:
        # One gap for all lengths is no bias; too few say nothing.
        return LengthBias(len(gaps), 0.0 if len(gaps) >= 10 else None, None)
    found = numeric.stats().spearmanr(gaps, list(lengths))
    return LengthBias(len(gaps), float(found.statistic), float(found.pvalue))


def position_bias(orders: Sequence[tuple[str, str]]) -> PositionBias:
    """``orders``: for each pair who won when A stood first, and when B did: first, second, tie.

    A judge without a bias names the same answer both times: first, then second. The p-value is the
    exact binomial one that neither place is favoured.
    """
    first = sum(pair == ("first", "first") for pair in orders)
    second = sum(pair == ("second", "second") for pair in orders)
    p_value = None
    if first + second:
        p_value = float(numeric.stats().binomtest(first, first + second, 0.5).pvalue)
    return PositionBias(len(orders), first, second, p_value)


def faults(agreed: Agreement, length: LengthBias, position: PositionBias) -> list[str]:
    """What bars the judge from deciding anything, in words; empty if nothing does."""
    found = []
    if agreed.n < MIN_LABELS:
        labels = "label" if agreed.n == 1 else "labels"
        found.append(f"{agreed.n} {labels} of people; {MIN_LABELS} are needed")
    elif agreed.kappa is None:
        found.append("judge and people gave one label to everything: there is nothing to agree on")
    elif agreed.kappa < LEAST_KAPPA or (agreed.lower or 0.0) < LEAST_KAPPA_BOUND:
        found.append(
            f"kappa {agreed.kappa:.2f} (from {agreed.lower:.2f}); {LEAST_KAPPA} and a lower bound "
            f"of {LEAST_KAPPA_BOUND} are needed"
        )
    if length.correlation is None:
        found.append("too few answers to see whether length sways it")
    elif abs(length.correlation) > MOST_LENGTH_BIAS and (length.p_value or 0.0) < LENGTH_ALPHA:
        liked = "longer" if length.correlation > 0 else "shorter"
        found.append(f"it favours {liked} answers (rank correlation {length.correlation:+.2f})")
    if position.pairs < MIN_PAIRS:
        pairs = "pair" if position.pairs == 1 else "pairs"
        found.append(f"{position.pairs} {pairs} judged in both orders; {MIN_PAIRS} are needed")
    elif (position.swayed_ratio or 0.0) > MOST_SWAYED_RATIO:
        place = "first" if position.first >= position.second else "second"
        found.append(
            f"{position.first + position.second} of {position.pairs} pairs follow the order (the "
            f"{place} answer wins); at most {MOST_SWAYED_RATIO:.0%} may"
        )
    return found
