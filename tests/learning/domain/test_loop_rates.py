"""The verdicts against a known truth: daily looks at candidates that help, do nothing or harm.

Sizes that a team would care about: the base succeeds in 80 of 100, better is 86, worse is 72.
"""

from __future__ import annotations

import numpy as np
import pytest

from learning.domain.decisions import ArmReading, Progress, decide
from learning.domain.statistics import power, sequential
from learning.domain.statistics.effects import difference
from learning.domain.statistics.samples import Proportion, moments_of_pair

BASE, EFFECTS = 0.80, {"better": 0.06, "equal": 0.0, "worse": -0.08}
PER_DAY = 100  # units an arm
FIXED = power.units_needed(power.Design("fixed"), power.proportion(BASE, EFFECTS["better"]))
DAYS = 2 * FIXED // (2 * PER_DAY)


def verdict_of(effect: float, rng: np.random.Generator) -> str:
    """What a sweep decides that looks each day until twice a fixed plan's size."""
    good = [0, 0]
    for day in range(1, DAYS + 1):
        for arm, rate in enumerate((BASE, BASE + effect)):
            good[arm] += int(rng.binomial(PER_DAY, rate))
        n = PER_DAY * day
        pair = moments_of_pair(Proportion(n, good[0]), Proportion(n, good[1]))
        result = sequential.compare(difference(*pair, "absolute"), tuning=FIXED)
        state = "unclear"
        if result.p_value is not None and result.p_value < 0.05:
            state = "better" if result.estimate > 0 else "worse"
        found = decide(
            [ArmReading("b", state, result.estimate)],
            Progress(n, days=day, minimum_days=3),
            mismatch=False,
            horizon="any_time",
        )
        if found.kind in ("ship", "rollback"):
            return found.kind
    return "refused"


def rates(truth: str, runs: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    kinds = [verdict_of(EFFECTS[truth], rng) for _ in range(runs)]
    return {kind: kinds.count(kind) / runs for kind in ("ship", "rollback", "refused")}


def test_the_loop_ships_what_helps_and_stops_what_harms():
    assert rates("better", 66, 1)["ship"] >= 0.8
    assert rates("equal", 67, 2)["ship"] <= 0.05
    found = rates("worse", 67, 3)
    assert found["ship"] == 0 and found["rollback"] >= 0.9


def test_inverting_the_truth_inverts_the_verdicts():
    rng = np.random.default_rng(4)
    assert {verdict_of(+0.12, rng) for _ in range(5)} == {"ship"}
    assert {verdict_of(-0.12, rng) for _ in range(5)} == {"rollback"}


@pytest.mark.slow
def test_the_rates_hold_over_two_thousand_candidates_each():
    better, equal, worse = (rates(truth, 2000, 5) for truth in EFFECTS)
    assert better["ship"] >= 0.8 and better["rollback"] < 0.01
    assert equal["ship"] <= 0.03
    assert worse["ship"] == 0 and worse["rollback"] > 0.93
