import numpy as np
import pytest

from learning.domain.adwin import Adwin


def alarms(values, **options):
    adwin = Adwin(**options)
    return [i for i, v in enumerate(values) if adwin.update(float(v))]


def test_drifts_in_error_streams_are_found_with_f1_of_at_least_97_percent():
    true = false = missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        low = rng.uniform(0.05, 0.2)
        high = low + rng.uniform(0.15, 0.3)
        rates = np.repeat([low, high, low, high], 1000)
        found = alarms(rng.random(4000) < rates)
        for change in (1000, 2000, 3000):
            hits = [i for i in found if change <= i < change + 500]
            true, missed = true + bool(hits), missed + (not hits)
            found = [i for i in found if i not in hits]
        false += len(found)
    assert 2 * true / (2 * true + false + missed) >= 0.97


def test_a_steady_stream_gives_no_alarm():
    rng = np.random.default_rng(1)
    assert sum(len(alarms(rng.random(5000) < 0.1)) for _ in range(5)) <= 1
    assert alarms([0.0] * 3000) == []


def test_the_window_holds_what_came_after_the_change():
    adwin = Adwin()
    for value in [0.0] * 1000 + [1.0] * 500:
        adwin.update(value)
    assert adwin.mean > 0.95
    assert adwin.count < 600


def test_memory_grows_with_the_logarithm():
    adwin = Adwin()
    for i in range(20_000):
        adwin.update(float(i % 2))
    assert adwin.count == 20_000
    assert len(adwin._buckets) < 90


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_a_value_that_is_no_error_rate_is_refused(bad):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Adwin().update(bad)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="delta"):
        Adwin(0.0)
