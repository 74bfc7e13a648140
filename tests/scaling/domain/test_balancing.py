import random
from collections import Counter
from dataclasses import replace

import pytest

from scaling.domain.balancing import Place, choose, updated_latency


def spread(places, draws=4000):
    rng = random.Random(1)
    names = (choose(places, rng.random(), rng.random()) for _ in range(draws))
    return Counter(p.name for p in names if p)


def test_of_two_places_the_less_loaded_one_is_taken():
    busy, idle = Place("busy", in_flight=9), Place("idle")
    assert choose([busy, idle], 0.1, 0.9) == idle


def test_work_spreads_by_weight_latency_and_failures():
    places = [
        Place("slow", latency_seconds=4.0),
        Place("failing", latency_seconds=1.0, failure_ratio=0.4),
        Place("fast", latency_seconds=1.0),
    ]
    counted = spread(places)
    assert counted["fast"] > counted["failing"] > counted["slow"]


def test_a_closed_or_full_place_gets_nothing():
    open_, full = Place("open", in_flight=50), Place("full", in_flight=2, limit=2)
    assert set(spread([open_, full, Place("shut", open=False)])) == {"open"}
    assert choose([full], 0.0, 0.0) is None
    assert choose([], 0.0, 0.0) is None


def test_two_choices_keep_the_longest_queue_short():
    rng = random.Random(2)
    places = [Place(f"p{i}", latency_seconds=1.0) for i in range(20)]
    for _ in range(2000):
        chosen = choose(places, rng.random(), rng.random())
        assert chosen is not None
        index = int(chosen.name[1:])
        places[index] = replace(chosen, in_flight=chosen.in_flight + 1)
    loads = [p.in_flight for p in places]
    assert max(loads) - min(loads) <= 6


def test_a_running_latency_starts_with_the_first_and_follows_slowly():
    assert updated_latency(0.0, 2.0) == 2.0
    assert updated_latency(2.0, 4.0) == pytest.approx(2.4)


def test_a_place_without_capacity_is_refused():
    with pytest.raises(ValueError, match="weight"):
        Place("x", weight=0)
