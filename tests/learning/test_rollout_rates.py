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
