from collections import Counter

import numpy as np
import pytest

from learning.domain.drift import (
    Drift,
    Streak,
    categorical_drift,
    numeric_drift,
    population_stability,
    text_drift,
)

DRAWS = {
    "normal": lambda r, n: r.normal(0, 1, n),
    "lognormal": lambda r, n: r.lognormal(0, 1, n),
    "counts": lambda r, n: r.poisson(6, n).astype(float),
    "heavy tail": lambda r, n: r.standard_t(3, n),
}


@pytest.mark.parametrize("name", DRAWS)
def test_equal_windows_of_500_and_200_alarm_in_about_three_of_a_hundred(name):
    rng = np.random.default_rng(3)
    draw = DRAWS[name]
    alarms = [numeric_drift(draw(rng, 500), draw(rng, 200)).drifted for _ in range(200)]
    assert np.mean(alarms) <= 0.055  # 3 % and two and a half standard errors of 200 draws


@pytest.mark.parametrize("name", DRAWS)
def test_half_a_deviation_more_is_found_in_windows_of_500_and_200(name):
    rng = np.random.default_rng(4)
    draw = DRAWS[name]
    found = []
    for _ in range(60):
        a, b = draw(rng, 500), draw(rng, 200)
        found.append(numeric_drift(a, b + 0.5 * np.std(a)).drifted)
    assert np.mean(found) >= 0.93


def test_a_wider_spread_at_the_same_mean_is_found():
    rng = np.random.default_rng(5)
    found = [
        numeric_drift(rng.normal(0, 1, 500), rng.normal(0, 1.6, 200)).drifted for _ in range(40)
    ]
    assert np.mean(found) >= 0.93


def test_a_difference_too_small_to_matter_is_no_drift_however_many_rows():
    rng = np.random.default_rng(6)
    result = numeric_drift(rng.normal(0, 1, 200_000), rng.normal(0.03, 1, 200_000))
    assert result.p_value is not None
    assert result.p_value < 0.01
    assert result.drifted is False


def test_too_few_rows_are_neither_drift_nor_its_absence():
    assert numeric_drift(range(29), range(500)).drifted is None
    assert categorical_drift(["a"] * 10, ["b"] * 500).drifted is None
    assert text_drift(["a"] * 10, ["b"] * 500).drifted is None


def test_constants_and_gaps_are_read():
    assert numeric_drift([1.0] * 50, [1.0] * 50).drifted is False
    assert numeric_drift([1.0] * 50, [2.0] * 50).drifted is True
    with_gaps = [float("nan"), *range(60)]
    assert numeric_drift(with_gaps, with_gaps).rows == (60, 60)


def test_categories_that_trade_places_are_found_and_equal_ones_rarely():
    rng = np.random.default_rng(7)
    names = np.array(["invoice", "reminder", "tax", "other", "rare"])
    before, after = [0.5, 0.25, 0.14, 0.1, 0.01], [0.3, 0.3, 0.24, 0.15, 0.01]
    same = [
        categorical_drift(rng.choice(names, 500, p=before), rng.choice(names, 200, p=before))
        for _ in range(200)
    ]
    moved = [
        categorical_drift(rng.choice(names, 500, p=before), rng.choice(names, 200, p=after))
        for _ in range(60)
    ]
    assert np.mean([d.drifted for d in same]) <= 0.055
    assert np.mean([d.drifted for d in moved]) >= 0.93


def test_a_category_seen_once_is_no_drift():
    reference = ["a", "b"] * 250
    assert categorical_drift(reference, [*["a", "b"] * 100, "new"]).drifted is False


def test_a_new_subject_in_texts_is_found():
    usual = [f"please check invoice {i} of the supplier" for i in range(300)]
    unusual = [*usual[:120], *["where is my refund voucher"] * 40]
    assert text_drift(usual, usual[:160]).drifted is False
    assert text_drift(usual, unusual).drifted is True


def test_texts_that_become_longer_are_found():
    short = ["check the invoice"] * 100
    assert text_drift(short, ["check the invoice " * 9] * 60).drifted is True


def test_psi_of_equal_tables_is_zero():
    table = Counter(a=40, b=60)
    assert population_stability(table, table) == 0
    assert population_stability(table, Counter(a=60, b=40)) == pytest.approx(0.1622, abs=1e-3)
    assert population_stability(Counter(), table) == 0


def window(drifted):
    return Drift("t", None, 0.0, "distance", (500, 200), drifted)


@pytest.mark.parametrize(
    ("windows", "confirmed"),
    [
        ([True], False),
        ([True, True], True),
        ([True, False, True], False),
        ([True, None, True], True),
        ([True, True, False], False),
        ([], False),
    ],
)
def test_a_drift_is_confirmed_by_windows_in_a_row(windows, confirmed):
    streak = Streak(needed=2)
    for drifted in windows:
        streak = streak.after(window(drifted))
    assert streak.confirmed is confirmed


def test_a_streak_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needed"):
        Streak(needed=0)


def ratings(rng, n, shares=(0.05, 0.1, 0.2, 0.4, 0.25)):
    return rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], n, p=shares)


def costs(rng, n):
    return np.where(rng.random(n) < 0.6, 0.0, rng.gamma(2, 1, n))


def test_frequent_values_raise_no_more_false_alarms():
    rng = np.random.default_rng(11)
    alarms = [numeric_drift(ratings(rng, 500), ratings(rng, 200)).drifted for _ in range(600)]
    assert np.mean(alarms) <= 0.035  # SciPy's table alone gives 6 %


def test_worse_ratings_are_still_a_drift():
    rng = np.random.default_rng(9)
    found = [
        numeric_drift(ratings(rng, 500), ratings(rng, 200, (0.12, 0.18, 0.24, 0.3, 0.16))).drifted
        for _ in range(60)
    ]
    assert np.mean(found) >= 0.93


def test_many_different_values_beside_a_frequent_one_are_taken_together():
    rng = np.random.default_rng(10)
    reference, current = costs(rng, 60_000), costs(rng, 30_000)
    assert numeric_drift(reference, current).drifted is False
    assert numeric_drift(reference, current * 1.4).drifted is True
