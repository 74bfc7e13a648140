"""The clock of the time line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.clock import CUT_RATIO, Clock, Cut, clock_for, ticks


def test_without_waiting_the_clock_is_even():
    clock = clock_for(10.0, [(0.0, 10.0)])
    assert [clock.at(t) for t in (0, 2.5, 10)] == [0.0, 0.25, 1.0]


def test_a_night_of_waiting_is_cut_to_a_sliver():
    clock = clock_for(3620.0, [(0.0, 10.0), (3610.0, 3620.0)])
    assert clock.cuts == (Cut(10.0, 3610.0),)
    assert clock.at(3610.0) - clock.at(10.0) == pytest.approx(CUT_RATIO)
    assert clock.at(10.0) == pytest.approx((1 - CUT_RATIO) / 2)


def test_short_pauses_stay():
    assert clock_for(10.0, [(0.0, 4.0), (5.0, 10.0)]).cuts == ()


def test_a_run_that_only_waits_keeps_its_length():
    assert clock_for(100.0, []) == Clock(100.0)


def test_ticks_are_round_and_outside_cuts():
    clock = clock_for(3620.0, [(0.0, 10.0), (3610.0, 3620.0)])
    marks = ticks(clock)
    assert marks[0] == 0.0
    assert all(not 10.0 < t <= 3610.0 for t in marks)
    assert ticks(Clock(20.0)) == [0.0, 5.0, 10.0, 15.0, 20.0]


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 100)), max_size=10),
    st.lists(st.floats(0, 1e5), min_size=2, max_size=10),
)
def test_later_is_never_drawn_further_left(spans, moments):
    busy = [(start, start + length) for start, length in spans]
    clock = clock_for(max([end for _, end in busy], default=50.0), busy)
    places = [clock.at(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
