import math
import random

import pytest

from scaling.domain.queueing import (
    mean_wait_seconds,
    slots_for,
    square_root_slots,
    wait_probability,
    wait_quantile_seconds,
)


@pytest.mark.parametrize(
    ("slots", "load", "expected"),
    [
        (1, 0.5, 0.5),  # M/M/1: the chance to wait is the load
        (2, 1.0, 1 / 3),
        (10, 8.0, 0.409),  # published Erlang C tables
        (5, 0.0, 0.0),
        (3, 3.0, 1.0),
        (3, 9.0, 1.0),
    ],
)
def test_erlang_c_gives_the_published_values(slots, load, expected):
    assert wait_probability(slots, load) == pytest.approx(expected, abs=1e-3)


def test_the_mean_wait_of_one_slot_is_the_textbook_one():
    assert mean_wait_seconds(1, 0.8, 2.0) == pytest.approx(0.8 / (1 - 0.8) * 2.0)
    assert mean_wait_seconds(2, 2.0, 1.0) == math.inf


def test_the_wait_that_most_stay_under_agrees_with_a_simulation():
    rng = random.Random(3)
    free = [0.0, 0.0, 0.0]
    at, waits = 0.0, []
    for _ in range(60_000):
        at += rng.expovariate(2.4)
        first = min(range(3), key=free.__getitem__)
        begin = max(at, free[first])
        free[first] = begin + rng.expovariate(1.0)
        waits.append(begin - at)
    waits.sort()
    assert wait_quantile_seconds(3, 2.4, 1.0, 0.95) == pytest.approx(
        waits[int(0.95 * len(waits))], rel=0.12
    )


@pytest.mark.parametrize("load", [0.0, 0.3, 1.0, 5.5, 20.0, 150.0])
def test_slots_for_a_promise_are_enough_and_one_less_is_not(load):
    slots = slots_for(load, 3.0, wait_seconds=1.0, share=0.95, most=1000)
    assert wait_quantile_seconds(slots, load, 3.0, 0.95) <= 1.0
    if slots > 1:
        assert wait_quantile_seconds(slots - 1, load, 3.0, 0.95) > 1.0


def test_slots_never_exceed_the_most():
    assert slots_for(500.0, 3.0, wait_seconds=0.1, share=0.99, most=7) == 7


def test_the_square_root_rule_spares_relatively_less_for_more_load():
    assert square_root_slots(100) == 110
    assert square_root_slots(10_000) == 10_100
    assert square_root_slots(0) == 1


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="slots"):
        wait_probability(0, 1.0)
    with pytest.raises(ValueError, match="share"):
        wait_quantile_seconds(2, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="most"):
        slots_for(1.0, 1.0, wait_seconds=1.0, share=0.9, most=0)
