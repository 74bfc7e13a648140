"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from config import readable
from config.templatetags.ratchet import label, signed, spark


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0, "0 ms"), (0.0042, "4.2 ms"), (0.034, "34 ms"), (1.2, "1.2 s"),
     (0.99996, "1 s"), (59.4, "59.4 s"), (125, "2 min 5 s"), (120, "2 min"), (4320, "1 h 12 min"),
     (3600, "1 h"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_a_duration_has_a_unit_that_people_read(seconds, said):
    assert readable.duration(seconds) == said


@pytest.mark.parametrize(
    ("usd", "said"),
    [(Decimal("0.044123"), "$0.0441"), ("0", "$0"), (12.345, "$12.3"), (1234.4, "$1,234"),
     (Decimal("-2.5"), "−$2.5"), (None, "–")],
)  # fmt: skip
def test_money_has_three_significant_digits(usd, said):
    assert readable.money(usd) == said


@pytest.mark.parametrize(
    ("number", "said"), [(950, "950"), (9_999, "9,999"), (12_400, "12.4 k"), (3_100_000, "3.1 M")]
)
def test_large_counts_are_shortened(number, said):
    assert readable.count(number) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [(8.354, "+8.35"), (-2.98, "−2.98"), (-0.00002002, "−0.00002"), (1_234_567, "+1,234,567"),
     (-0.0, "+0")],
)  # fmt: skip
def test_a_change_has_a_sign_and_never_an_exponent(change, said):
    assert readable.signed(change) == signed(change) == said


def test_almost_all_is_never_called_all():
    assert readable.percent(0.99996) == "> 99.9 %"
    assert readable.percent(1.0) == "100 %"
    assert readable.percent(0.0123) == "1.23 %"


def test_a_tiny_chance_is_told_by_its_limit():
    assert readable.percent(1.2e-17) == "< 0.001 %" and readable.percent(0.0) == "0 %"
    assert readable.percent(2e-5) == "0.002 %"
    assert readable.p_value(3e-19) == "< 0.0001" and readable.p_value(0.03441) == "0.034"


def test_a_time_is_told_from_now():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert readable.ago(now - timedelta(minutes=3, seconds=20), now) == "3 min ago"
    assert readable.ago(now + timedelta(hours=2), now) == "in 2 h"
    assert readable.ago(now - timedelta(seconds=2), now) == "just now"


def test_many_names_are_summed_up():
    assert readable.listed(["a", "b"]) == "a and b"
    assert readable.listed(["a", "b", "c", "d"]) == "a, b and 2 others"
    assert readable.listed([]) == ""


def test_a_sparkline_has_gaps_and_a_lone_point_is_a_whole_dot() -> None:
    drawn = spark([1, 2, None, 3, None, 4, 4])
    assert 'd="M2.0 14.0L16.0 10.0M72.0 2.0L86.0 2.0"' in drawn
    assert 'class="dot" d="M44.0 6.0h0"' in drawn  # inside of the picture, not cut by its edge
    assert "svg" not in spark([None, 0.0])


def test_labels_keep_what_is_written_in_capitals_and_differences_have_a_sign() -> None:
    assert (label("amount_gbp"), label("line_id")) == ("Amount GBP", "Line ID")
    assert (signed(8.354), signed(-2.98)) == ("+8.35", "−2.98")
