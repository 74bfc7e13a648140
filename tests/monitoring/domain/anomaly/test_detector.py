import math

import numpy as np
import pytest

from monitoring.domain.anomaly.detector import SILENT, Detector, Settings

FIVE_MINUTES = 300.0


def flags(values, *, times=None, settings=None):
    detector = Detector(settings)
    if times is None:
        times = [1.4e9 + FIVE_MINUTES * i for i in range(len(values))]
    readings = [detector.update(at, v) for at, v in zip(times, values, strict=True)]
    return [i for i, r in enumerate(readings) if r.flagged], readings


def noise(seed, n=3000):
    return np.random.default_rng(seed).standard_normal(n)


def daily(seed, n=3000):
    return 50 + 20 * np.sin(np.arange(n) * 2 * np.pi / 288) + 2 * noise(seed, n)


def test_a_spike_out_of_the_noise_is_flagged_at_its_row():
    values = noise(1)
    values[2000] += 25
    found, readings = flags(values)
    assert 2000 in found
    assert readings[2000].cause in {"spike", "high"}
    assert readings[2000].score > 0.5


def test_a_drop_to_nothing_is_flagged():
    values = 95 + noise(2)
    values[1500:1520] = 0
    assert 1500 in flags(values)[0]


def test_a_level_that_shifts_by_less_than_a_spike_is_flagged_soon():
    values = noise(3)
    values[1800:] += 3
    found = flags(values)[0]
    assert any(1800 <= i < 1830 for i in found)


def test_a_usual_value_at_an_unusual_time_of_day_is_flagged():
    values = daily(4)
    values[2300:2400] = 50 - 20 * np.sin(np.arange(2300, 2400) * 2 * np.pi / 288)
    found = flags(values)[0]
    assert any(2300 <= i < 2400 for i in found)
    assert min(values[2300:2400]) > np.min(values[:2300])


def test_a_noise_that_grows_is_flagged():
    values = noise(5)
    values[2000:2200] *= 4
    assert any(2000 <= i < 2200 for i in flags(values)[0])


def test_a_sensor_that_stands_still_is_flagged():
    values = daily(6)
    values[2000:2200] = values[2000]
    assert any(2000 <= i < 2200 for i in flags(values)[0])


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(lambda r, n: r.standard_normal(n), id="noise"),
        pytest.param(lambda r, n: r.pareto(1.5, n), id="heavy tail", marks=pytest.mark.slow),
        pytest.param(
            lambda r, n: r.poisson(3, n).astype(float), id="counts", marks=pytest.mark.slow
        ),
        pytest.param(lambda r, n: np.cumsum(r.standard_normal(n)), id="random walk"),
        pytest.param(lambda r, n: daily(int(r.integers(99)), n), id="daily"),
        pytest.param(lambda r, n: np.full(n, 7.0), id="constant", marks=pytest.mark.slow),
    ],
)
def test_ordinary_series_get_under_seven_false_alerts_in_ten_thousand_rows(values):
    rng = np.random.default_rng(8)
    false = sum(len(flags(values(rng, 4000))[0]) for _ in range(4))
    assert false / 16 < 0.7


def test_a_score_depends_on_its_row_and_earlier_ones_only():
    values = daily(9)
    changed = values.copy()
    changed[1500:] = 1e6
    assert flags(values)[1][:1500] == flags(changed)[1][:1500]


def test_scaling_and_shifting_a_series_changes_no_flag():
    values = daily(10)
    values[1700] += 60
    assert flags(values)[0] == flags(values * 1024.0)[0]


def test_nothing_is_flagged_in_the_warm_up():
    values = noise(11, 200)
    values[150] = 1e9
    assert flags(values)[0] == []


def test_one_long_outage_is_one_alert():
    values = 100 + noise(12)
    values[2000:2100] = 0
    assert len([i for i in flags(values)[0] if 2000 <= i < 2100]) == 1


def test_missing_rows_are_neither_flagged_nor_learnt():
    detector = Detector()
    for bad in (None, math.nan, math.inf):
        assert detector.update(0.0, bad) == SILENT
    values = [None if i % 7 == 0 else v for i, v in enumerate(daily(13))]
    found, _ = flags(values)
    assert all(values[i] is not None for i in found)


def test_gaps_and_irregular_times_keep_the_phase_of_the_day():
    rng = np.random.default_rng(14)
    times = 1.4e9 + np.cumsum(rng.exponential(300, 3000))
    values = 50 + 20 * np.sin(times * 2 * np.pi / 86_400) + rng.standard_normal(3000)
    values[2500:2540] = 50 - 20 * np.sin(times[2500:2540] * 2 * np.pi / 86_400)
    found, _ = flags(values, times=times)
    assert len([i for i in found if i < 2500]) <= 2
    assert any(2500 <= i < 2540 for i in found)


def test_repeated_bursts_become_the_usual_thing():
    values = noise(15, 4000)
    values[600::200] += 30
    found = flags(values)[0]
    assert len([i for i in found if i < 1400]) > len([i for i in found if i >= 3000])


@pytest.mark.parametrize("bad", [{"surprise": 0.0}, {"warm_up": 10}, {"memory": 100}])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match="need"):
        Settings(**bad)
