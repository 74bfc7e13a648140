"""Who is to blame for failures while a version is rolled out."""

from __future__ import annotations

import numpy as np
import pytest

from learning.domain.blame import Blame, blame


@pytest.mark.parametrize(
    ("treated", "control", "before", "who"),
    [
        ((30, 50), (0, 50), (20, 2000), Blame.VERSION),
        ((30, 50), (1, 2), (20, 2000), Blame.VERSION),  # one of few says nothing of an outage
        ((45, 50), (0, 0), (20, 2000), Blame.VERSION),  # nobody met the control
        ((50, 50), (49, 50), (20, 2000), Blame.OUTAGE),
        ((50, 50), (3, 3), (20, 2000), Blame.OUTAGE),
        ((70, 100), (11, 100), (20, 2000), Blame.VERSION),  # both fail more, it far more
        ((11, 100), (12, 100), (240, 2000), Blame.NOBODY),  # production is no better
        ((6, 50), (2, 50), (100, 2000), Blame.NOBODY),
        ((50, 50), (0, 0), (0, 0), Blame.NOBODY),  # beside nothing
    ],
)
def test_a_version_is_to_blame_that_is_surely_worse_than_its_control(treated, control, before, who):
    assert blame(treated, control, before) is who


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.12])
def test_a_version_as_good_as_its_control_is_hardly_ever_to_blame(rate):
    """A week of hours of sixty calls each, looked at every ten minutes, in fifty rollouts."""
    rng = np.random.default_rng(20261130)
    blamed = 0
    for _ in range(50):
        ten = rng.binomial(10, rate, (2, 6 * 24 * 7))
        hours = np.lib.stride_tricks.sliding_window_view(ten, 6, axis=1).sum(axis=2)
        past = (int(rng.binomial(5000, rate)), 5000)
        looks = {(t, c) for t, c in hours.T.tolist() if t > 6}  # over the rule's tenth
        blamed += any(blame((t, 60), (c, 60), past) is not Blame.NOBODY for t, c in looks)
    assert blamed <= 2
