"""How often a rollout errs that is looked at at every sweep: by the document that sweeps judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest

from learning.analysis import analyse
from learning.domain import measures
from learning.models import Rollout
from learning.rollouts import judging, stages
from learning.rollouts.watching import with_watched

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
METRICS = [
    {"key": "success", "role": "primary"},
    {"key": "complaint", "role": "guardrail", "margin": 0.5},
]
SHARES, LOOKS, ARRIVE = (0.1, 0.25, 0.5, 1.0), 12, 400
BEGAN = datetime(2026, 3, 2, tzinfo=UTC)


def rollout(test: dict) -> Rollout:
    return Rollout(
        id=uuid4(), agent_slug="a", strategy="custom", unit="run",
        stages=stages.checked_stages("custom", [{"share": share} for share in SHARES]),
        metrics=[measures.metric(raw, i) for i, raw in enumerate(METRICS)], test=test,
    )  # fmt: skip


def outcome(test: dict, effect: float, rng: np.random.Generator) -> str:
    """``rolled_back``, or ``done``: what sweeps do of units that arrive in the stages' shares."""
    row, instead = rollout(test), {}
    for row.stage, share in enumerate(SHARES):
        cells = instead[judging._name(row, row.stage)] = {}
        sums = {arm: np.zeros(3, int) for arm in ("control", "treatment")}
        for look in range(LOOKS):
            day = (BEGAN + timedelta(days=row.stage, hours=2 * look)).date()
            for arm, ranges in measures.stage_layout(share).items():
                n = int(rng.binomial(ARRIVE, sum(b - a for a, b in ranges) / 10_000))
                change = effect if arm == "treatment" else 0.0
                good, said = rng.binomial(n, 0.85 + change), rng.binomial(n, 0.05)
                sums[arm] += (n, good, said)
                n, good, said = (int(value) for value in sums[arm])
                cells[arm, day] = {"units": n, "statistics": {
                    "success": {"n": n, "successes": good},
                    "complaint": {"n": n, "successes": said},
                }}  # fmt: skip
            if analyse(judging.document(row, instead=instead))["verdict"] == "rollback":
                return "rolled_back"
    return "done"


def test_a_sound_winner_of_any_test_is_seldom_taken_back_and_a_worse_one_never_stays():
    kinds = ("fixed", "bayesian", "bandit", "group_sequential", "sequential")
    every = [stages.inherited_test({"kind": k, "difference_type": "absolute"}) for k in kinds]
    test = every[0]
    assert all(one == test for one in every)
    rng = np.random.default_rng(20261129)
    back = sum(outcome(test, 0.0, rng) == "rolled_back" for _ in range(200))
    # 5 % of 200 are 10; a test for one look takes back 40 and more of them at these 48 looks.
    assert back <= 10, back
    done = sum(outcome(test, -0.10, rng) == "done" for _ in range(60))
    assert done == 0, done


def watched(right: float, change: float, scored: float, rng: np.random.Generator) -> str:
    """The same of a rollout that has nothing to read but what it watches: scores of accuracy.

    ``scored`` of the units have a score of 0 or 1; ``right`` is the control's share of ones.
    """
    row, instead = rollout({"kind": "sequential"}), {}
    specs = with_watched([{"key": "feedback", "role": "primary"}])
    row.metrics = [measures.metric(raw, i) for i, raw in enumerate(specs)]
    for row.stage, share in enumerate(SHARES):
        cells = instead[judging._name(row, row.stage)] = {}
        sums = {arm: np.zeros(3, int) for arm in ("control", "treatment")}
        for look in range(LOOKS):
            day = (BEGAN + timedelta(days=row.stage, hours=2 * look)).date()
            for arm, ranges in measures.stage_layout(share).items():
                n = int(rng.binomial(ARRIVE, sum(b - a for a, b in ranges) / 10_000))
                count = rng.binomial(n, scored)
                good = rng.binomial(count, right + (change if arm == "treatment" else 0.0))
                sums[arm] += (n, count, good)
                n, count, good = (int(value) for value in sums[arm])
                cells[arm, day] = {"units": n, "statistics": {
                    "feedback": {"n": n, "successes": count},
                    "score:accuracy": {
                        "n": n, "numerator_sum": good, "numerator_sum_squares": good,
                        "denominator_sum": count, "denominator_sum_squares": count,
                        "numerator_denominator_sum_product": good,
                    },
                }}  # fmt: skip
            if analyse(judging.document(row, instead=instead))["verdict"] == "rollback":
                return "rolled_back"
    return "done"


@pytest.mark.parametrize(("right", "scored"), [(0.95, 0.2), (0.95, 1.0), (0.65, 0.2)])
def test_a_version_that_answers_as_well_is_seldom_taken_back_by_its_scores(right, scored):
    rng = np.random.default_rng(20261130)
    back = sum(watched(right, 0.0, scored, rng) == "rolled_back" for _ in range(100))
    # At 2.5 % there are more than seven of a hundred once in two hundred times.
    assert back <= 7, back


def test_a_version_that_answers_worse_does_not_stay():
    rng = np.random.default_rng(20261130)
    assert all(watched(0.9, -0.2, 0.3, rng) == "rolled_back" for _ in range(20))
