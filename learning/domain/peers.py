"""How others decide: a team that stops at the first small p-value, and an epsilon-greedy bandit.

For comparison in simulations only; neither protects against looking often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from learning.domain.statistics import fixed
from learning.domain.statistics.effects import difference
from learning.domain.statistics.samples import Moments, Proportion, moments_of_pair

Decision = Literal["shipped", "stopped", "kept"]
Counts = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Day:
    """Units of one day and how many of them were right, as (n, right) an arm."""

    control: Counts
    treatment: Counts


def first_small_p(days: Sequence[Day], *, alpha: float = 0.05) -> tuple[Decision, int]:
    """What Welch's t-test says at each day's end, acted on as soon as p < ``alpha``; and units.

    ``kept``: never, so the control stays.
    """
    sums = [0, 0, 0, 0]
    for day in days:
        for place, value in enumerate((*day.control, *day.treatment)):
            sums[place] += value
        n, right, m, others = sums
        if min(n, m) < 2 or right + others in (0, n + m):
            continue
        pair: tuple[Moments, Moments] = moments_of_pair(Proportion(n, right), Proportion(m, others))
        try:
            result = fixed.compare(difference(*pair, "absolute"), alpha=alpha)
        except ValueError:
            continue
        if result.p_value is not None and result.p_value < alpha:
            return ("shipped" if result.estimate > 0 else "stopped"), n + m
    return "kept", sums[0] + sums[2]


@dataclass(slots=True)
class EpsilonGreedy:
    """Explores with a fixed share, else takes the arm that looks best. Arms: 0 control, 1 other."""

    epsilon: float
    control: Counts = (0, 0)
    treatment: Counts = (0, 0)

    def choose(self, explores: float, side: float) -> int:
        """The next unit's arm; both arguments are draws from [0, 1)."""
        if explores < self.epsilon or self.control[0] == self.treatment[0] == 0:
            return int(side < 0.5)
        return self.best

    @property
    def best(self) -> int:
        """The arm with the higher share of right answers; an arm never met counts as 1."""
        rates = [right / n if n else 1.0 for n, right in (self.control, self.treatment)]
        return int(rates[1] > rates[0])

    def learn(self, arm: int, is_right: bool) -> None:
        """Take one outcome into account."""
        if arm:
            self.treatment = (self.treatment[0] + 1, self.treatment[1] + is_right)
        else:
            self.control = (self.control[0] + 1, self.control[1] + is_right)
