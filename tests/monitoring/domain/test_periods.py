"""What is left of the past when some of it is taken out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.periods import Span, clean_past, joined

DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def span(first: float, last: float) -> Span:
    return DAY + first * HOUR, DAY + last * HOUR


@pytest.mark.parametrize(
    ("out", "left"),
    [
        ([], [span(14, 24)]),
        ([span(20, 22)], [span(12, 20), span(22, 24)]),  # reaches back for the two hours
        ([span(20.5, 21.2)], [span(12, 20), span(22, 24)]),  # whole hours only
        ([span(20, 22), span(21, 23), span(10, 13)], [span(8, 10), span(13, 20), span(23, 24)]),
        ([span(20, 30)], [span(10, 20)]),  # it lasts
        ([span(1, 24)], [span(0, 1)]),  # furthest back, and less than was asked for
        ([span(-5, 30)], []),
        ([span(-9, -3)], [span(14, 24)]),
    ],
)
def test_a_baseline_reaches_further_back_for_what_is_left_out(
    out: list[Span], left: list[Span]
) -> None:
    found = clean_past(DAY + 24 * HOUR, 10 * HOUR, out, furthest=DAY)
    assert found == left


@given(
    st.lists(st.tuples(st.floats(-10, 110), st.floats(0.1, 30)), max_size=8),
    st.integers(1, 60),
)
def test_what_is_left_is_clean_and_no_longer_than_asked(
    out: list[tuple[float, float]], hours: int
) -> None:
    spans = [span(first, first + length) for first, length in out]
    found = clean_past(DAY + 100 * HOUR, hours * HOUR, spans, furthest=DAY)
    assert sum((b - a for a, b in found), timedelta()) <= hours * HOUR
    assert joined(found) == sorted(found)
    assert all(DAY <= a < b <= DAY + 100 * HOUR for a, b in found)
    for since, until in found:
        assert not any(a < until and b > since for a, b in spans)
