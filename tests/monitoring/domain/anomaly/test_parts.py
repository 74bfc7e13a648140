import numpy as np
import pytest

from monitoring.domain.anomaly.seasons import Profile, find_period
from monitoring.domain.anomaly.severity import Severity, severity
from monitoring.domain.anomaly.tails import Tail
from monitoring.domain.anomaly.together import Together


@pytest.mark.parametrize("period", [12, 48, 288])
def test_a_period_is_found_in_noise(period):
    rng = np.random.default_rng(period)
    values = np.sin(np.arange(period * 8) * 2 * np.pi / period)
    values += rng.standard_normal(period * 8) / 2
    assert find_period(values) == pytest.approx(period, rel=0.05)


def test_noise_trends_and_constants_have_no_period():
    rng = np.random.default_rng(3)
    assert find_period(rng.standard_normal(1000)) is None
    assert find_period(np.arange(1000.0)) is None
    assert find_period(np.ones(1000)) is None
    assert find_period([1.0, 2.0]) is None


def test_a_profile_needs_two_cycles_and_is_not_moved_by_one_bad_day():
    profile = Profile(24.0, 1.0)
    for day in range(5):
        assert (profile.expected(6.0) is None) == (day < 2)
        for hour in range(24):
            profile.learn(day * 24.0 + hour, 1000.0 if day == 2 else float(hour))
    assert profile.expected(6.0) == pytest.approx(6.0, abs=1)


def test_a_tail_gives_rare_values_their_probability():
    rng = np.random.default_rng(5)
    tail = Tail(5000)
    for value in rng.exponential(1.0, 5000):
        tail.learn(value, ceiling=20)
    # exp(-9.21) is one in ten thousand
    assert tail.surprise(9.21) == pytest.approx(4.0, abs=0.6)
    assert tail.surprise(0.5) == 0.0


def test_one_outage_does_not_make_outages_normal():
    tail = Tail(5000)
    rng = np.random.default_rng(6)
    for value in rng.standard_normal(2000):
        tail.learn(value, ceiling=4)
    for _ in range(5):
        tail.learn(1000.0, ceiling=4)
    for value in rng.standard_normal(50):
        tail.learn(value, ceiling=4)
    assert tail.surprise(1000.0) > 6


@pytest.mark.parametrize(
    ("surprise", "expected"),
    [
        (3.9, None),
        (4.0, Severity.LOW),
        (5.0, Severity.MEDIUM),
        (6.0, Severity.HIGH),
        (8.0, Severity.CRITICAL),
    ],
)
def test_severity_grows_with_the_surprise_above_the_limit(surprise, expected):
    assert severity(surprise, 4.0) == expected


def test_metrics_that_are_each_a_little_odd_at_once_are_found_together():
    rng = np.random.default_rng(7)
    values = rng.standard_normal((1500, 8))
    values[1200] += 3.1
    together = Together()
    joints = [
        together.update(60.0 * i, {f"m{j}": row[j] for j in range(8)})
        for i, row in enumerate(values)
    ]
    assert joints[1200].flagged
    assert not any(r.flagged for r in joints[1200].readings.values())
    assert len(joints[1200].contributors) >= 6
    assert joints[1200].severity is not None
