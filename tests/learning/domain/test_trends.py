from __future__ import annotations

import pytest

from learning.domain.trends import Direction, trend


@pytest.mark.parametrize(
    ("before", "before_calls", "now", "now_calls", "expected"),
    [
        (0, 1000, 5, 1000, Direction.NEW),
        (10, 1000, 0, 1000, Direction.GONE),
        (10, 1000, 12, 1000, Direction.STEADY),
        (10, 1000, 40, 1000, Direction.RISING),
        (40, 1000, 10, 1000, Direction.FALLING),
        (40, 1000, 80, 2000, Direction.STEADY),  # twice the traffic, twice the errors
        (40, 1000, 40, 4000, Direction.FALLING),  # four times the traffic, as many errors
    ],
)
def test_a_trend_is_told_from_chance_and_from_traffic(
    before, before_calls, now, now_calls, expected
):
    found = trend(before=before, before_calls=before_calls, now=now, now_calls=now_calls)
    assert found.direction == expected


def test_the_test_is_the_exact_binomial_one():
    assert trend(before=5, before_calls=100, now=15, now_calls=100).p_value == pytest.approx(
        0.04139, abs=1e-5
    )  # two-sided binomial, 15 of 20 at a half


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        trend(before=-1, before_calls=1, now=0, now_calls=1)
