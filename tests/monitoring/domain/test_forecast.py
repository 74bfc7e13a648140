import numpy as np
import pytest

from monitoring.domain.forecast import Breach, breach, breach_in_words, forecast


def coverage_of(make, *, period=None, horizon=12, trials=60):
    inside = []
    for seed in range(trials):
        series = make(np.random.default_rng(seed), 300 + horizon)
        outlook = forecast(series[:300], horizon=horizon, period=period)
        truth = series[300:]
        inside.append(np.mean((truth >= outlook.low) & (truth <= outlook.high)))
    return float(np.mean(inside))


@pytest.mark.parametrize(
    ("make", "period"),
    [
        pytest.param(lambda r, n: r.standard_normal(n), None, id="noise", marks=pytest.mark.slow),
        pytest.param(
            lambda r, n: np.cumsum(r.standard_normal(n)),
            None,
            id="random walk",
            marks=pytest.mark.slow,
        ),
        pytest.param(lambda r, n: 0.1 * np.arange(n) + r.standard_normal(n), None, id="trend"),
        pytest.param(
            lambda r, n: 9 * np.sin(np.arange(n) * 2 * np.pi / 24) + r.standard_normal(n),
            24,
            id="season",
        ),
        pytest.param(lambda r, n: r.lognormal(0, 1, n), None, id="skewed", marks=pytest.mark.slow),
    ],
)
def test_ninety_percent_intervals_hold_about_ninety_percent(make, period):
    assert 0.84 <= coverage_of(make, period=period) <= 0.97


def test_a_trend_is_carried_on_and_an_outlier_does_not_turn_it():
    values = 10 + 0.5 * np.arange(100.0)
    values[95] = -500
    assert forecast(values, horizon=4).middle[3] == pytest.approx(10 + 0.5 * 103, abs=0.5)


def test_a_season_comes_back():
    shape = np.array([1.0, 5.0, 9.0, 5.0])
    outlook = forecast(np.tile(shape, 20), horizon=6, period=4)
    assert outlook.middle == pytest.approx([1, 5, 9, 5, 1, 5], abs=0.2)


def test_a_breach_ahead_is_announced_with_its_interval():
    rng = np.random.default_rng(1)
    rising = 100 + np.arange(120.0) + rng.standard_normal(120)
    found = breach(forecast(rising, horizon=24), 230.0)
    assert found.earliest is not None
    assert found.expected is not None
    assert found.earliest <= found.expected
    assert found.expected == pytest.approx(11, abs=3)
    assert "breaches in about" in (breach_in_words(found, row_seconds=1800) or "")


def test_a_flat_series_breaches_nothing():
    rng = np.random.default_rng(2)
    found = breach(forecast(rng.standard_normal(200), horizon=10), 50.0)
    assert found == Breach(None, None, None)
    assert breach_in_words(found, row_seconds=60) is None


def test_a_limit_from_below_is_watched_too():
    found = breach(forecast(100.0 - np.arange(60.0), horizon=12), 35.0, above=False)
    assert found.expected is not None


def test_words_give_the_span_in_the_unit_that_fits():
    assert breach_in_words(Breach(4, 6, 9), row_seconds=3600) == (
        "breaches in about 6 h (4 h to 9 h)"
    )
    assert breach_in_words(Breach(1, 2, None), row_seconds=60) == (
        "breaches in about 2 min (60 s or later)"
    )


@pytest.mark.parametrize(
    ("rows", "options"),
    [(29, {}), (40, {"period": 20}), (40, {"coverage": 1.0}), (40, {"horizon": 0})],
)
def test_too_little_to_forecast_from_is_refused(rows, options):
    with pytest.raises(ValueError, match="need"):
        forecast(np.zeros(rows), **{"horizon": 3, **options})
