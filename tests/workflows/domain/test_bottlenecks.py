"""The critical path of a run, and the step that held it up most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.bottlenecks import Share, Span, bottleneck, critical_path

DIAMOND = [
    Span("load", 0.0, 2.0),
    Span("quick", 2.0, 3.0, ("load",)),
    Span("slow", 4.0, 9.0, ("load",)),
    Span("join", 9.0, 10.0, ("quick", "slow")),
]


def test_the_path_goes_through_the_need_that_ended_last():
    assert [share.key for share in critical_path(DIAMOND)] == ["load", "slow", "join"]


def test_a_step_owes_the_time_from_the_end_of_the_one_before_with_its_wait_apart():
    slow = critical_path(DIAMOND)[1]
    assert (slow.seconds, slow.queued) == (7.0, 2.0)
    assert slow.ratio == pytest.approx(0.7)


def test_what_lay_before_a_person_took_the_run_up_again_is_no_steps_time():
    late = critical_path([Span("a", 0.0, 2.0), Span("b", 60.0, 61.0, ("a",), since=59.5)])[1]
    assert (late.seconds, late.queued) == (1.5, 0.5)


def test_a_step_that_never_began_is_no_part_of_the_path():
    spans = [*DIAMOND, Span("after", None, None, ("join",))]
    assert critical_path(spans)[-1].key == "join"


def test_nothing_begun_has_no_path_and_no_bottleneck():
    assert critical_path([Span("a", None, None)]) == []
    assert bottleneck([]) is None


def test_a_skipped_need_does_not_break_the_path():
    spans = [Span("a", 0.0, 1.0), Span("skip", None, None, ("a",)), Span("b", 2.0, 3.0, ("skip",))]
    assert [share.key for share in critical_path(spans)] == ["b"]


def test_a_need_that_ended_after_its_follower_takes_no_negative_time():
    spans = [
        Span("any", 0.0, 5.0),
        Span("first", 1.0, 2.0, ("any",)),
        Span("x", 5.0, 6.0, ("any",)),
    ]
    assert all(share.seconds >= 0 for share in critical_path(spans))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([Share("only", 5, 0, 1.0)], None),  # nothing to compare it with
        ([Share("a", 1, 0, 0.2), Share("b", 4, 0, 0.8)], "b"),
        ([Share(str(n), 1, 0, 0.2) for n in range(5)], None),  # an even path holds nobody up
    ],
)
def test_the_bottleneck_is_the_largest_share_if_it_is_large(path, expected):
    found = bottleneck(path)
    assert (found.key if found else None) == expected


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 100), st.sets(st.integers(0, 11))), max_size=12
    )
)
def test_shares_add_up_to_the_end_of_the_run(rows):
    spans = [
        Span(str(i), a, a + b, tuple(str(n) for n in needs if n < i))
        for i, (a, b, needs) in enumerate(rows)
    ]
    path = critical_path(spans)
    end = max((span.ended for span in spans), default=0.0)
    assert sum(share.seconds for share in path) == pytest.approx(end)
    assert all(0 <= share.queued <= share.seconds for share in path)
