import math

import numpy as np
import pytest

from scaling.domain.autoscaling import Autoscaler, Kind, Observation, Policy
from scaling.domain.forecast import ArrivalForecaster


def seen(at, *, workers, arrivals=0, waiting=0, busy=0, service=2.0):
    return Observation(at, arrivals, waiting, busy, workers, service)


def test_a_fixed_policy_never_moves():
    scaler = Autoscaler(Policy(kind=Kind.FIXED, workers=4))
    assert scaler.decide(seen(15, workers=4, waiting=999)).workers == 4


def test_a_reactive_policy_keeps_the_share_of_busy_slots():
    scaler = Autoscaler(Policy(kind=Kind.REACTIVE, target_busy_ratio=0.5))
    assert scaler.decide(seen(15, workers=1, busy=1, waiting=9)).workers == 20


def test_workers_go_up_at_once_and_down_only_after_the_cool_down():
    policy = Policy(kind=Kind.REACTIVE, target_busy_ratio=1.0, cool_down_seconds=60)
    scaler = Autoscaler(policy)
    workers, history = 1, []
    for step in range(1, 12):
        busy = 20 if step == 1 else 2
        workers = scaler.decide(seen(15.0 * step, workers=workers, busy=busy)).workers
        history.append(workers)
    assert history[0] == 20
    assert set(history[:4]) == {20}
    assert history[-1] == 2


def test_a_need_that_flickers_does_not_move_the_workers():
    policy = Policy(kind=Kind.REACTIVE, target_busy_ratio=1.0, cool_down_seconds=60)
    scaler = Autoscaler(policy)
    workers = {
        scaler.decide(seen(15.0 * i, workers=20, busy=20 - i % 2)).workers for i in range(1, 40)
    }
    assert workers == {20}


@pytest.mark.parametrize("kind", [Kind.REACTIVE, Kind.PREDICTIVE])
def test_limits_hold_whatever_comes(kind):
    scaler = Autoscaler(Policy(kind=kind, min_workers=2, max_workers=9))
    for step, arrivals in enumerate([0, 10_000, 0, 50_000, 3], start=1):
        decision = scaler.decide(
            seen(15.0 * step, workers=5, arrivals=arrivals, waiting=arrivals, busy=5)
        )
        assert 2 <= decision.workers <= 9


def test_a_predictive_policy_has_workers_before_the_daily_rise():
    policy = Policy(max_workers=500, start_delay_seconds=300, interval_seconds=60)
    scaler = Autoscaler(policy)
    rng = np.random.default_rng(1)
    workers, at_rise = 1, 0
    for minute in range(1, 3 * 1440 + 1):
        hour = minute % 1440 / 60
        rate = 10.0 if 9 <= hour < 17 else 0.5
        now = seen(60.0 * minute, workers=workers, arrivals=int(rng.poisson(rate * 60)))
        workers = scaler.decide(now).workers
        if minute == 2 * 1440 + 9 * 60 - 1:
            at_rise = workers
    # 0.5/s needs about two workers, 10/s over twenty: on the third day they were ordered before.
    assert at_rise >= 15


def test_the_decision_says_why():
    scaler = Autoscaler(Policy(season_seconds=None))
    decision = scaler.decide(seen(15.0, workers=1, arrivals=150, waiting=30))
    assert decision.workers > 20
    assert "30 waiting" in decision.reason


@pytest.mark.parametrize(
    "bad",
    [
        {"min_workers": 5, "max_workers": 4},
        {"slots_per_worker": 0},
        {"interval_seconds": 0},
        {"share": 1.0},
        {"target_busy_ratio": 0.0},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="need"):
        Policy(**bad)


def test_the_high_rate_is_seldom_exceeded():
    rng = np.random.default_rng(2)
    forecaster = ArrivalForecaster(season_seconds=86_400, share=0.9)
    above = []
    for step in range(1, 5761):
        rate = 5 + 4 * math.sin(step * 15 / 86_400 * 2 * math.pi)
        arrivals = int(rng.poisson(rate * 15))
        if step > 2000:
            above.append(arrivals / 15 > forecaster.ahead(15.0 * (step - 1), 15.0).high)
        forecaster.observe(15.0 * step, arrivals, 15.0)
    assert np.mean(above) <= 0.15


def test_a_forecaster_without_arrivals_expects_none():
    assert ArrivalForecaster().ahead(0.0, 60.0).high == 0
    with pytest.raises(ValueError, match="season"):
        ArrivalForecaster(season_seconds=0)
