"""Amounts: rounding, sharing to the cent, present values."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.accounting.amounts import by_sign, money, percent, present_value, split_exactly
from config.errors import InvalidInput

WEIGHTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2.675", "2.68"), ("-2.675", "-2.68"), ("-0.001", "0.00"), ("1e5", "100000.00")],
)
def test_money_is_rounded_half_up_and_never_minus_zero(value, shown):
    assert money(Decimal(value)) == shown


@given(total=st.integers(0, 10**9), weights=WEIGHTS)
def test_shared_parts_add_to_the_total_to_the_cent(total, weights):
    amount = Decimal(total) / 100
    parts = split_exactly(amount, [Decimal(weight) for weight in weights])
    assert sum(parts) == amount


@given(total=st.integers(0, 10**9), weights=WEIGHTS)
def test_no_part_is_a_cent_away_from_its_exact_share(total, weights):
    amount = Decimal(total) / 100
    parts = split_exactly(amount, [Decimal(weight) for weight in weights])
    exact = [amount * weight / sum(weights) for weight in weights]
    assert all(abs(p - e) < Decimal("0.01") for p, e in zip(parts, exact, strict=True))


def test_an_annuity_in_advance_is_worth_one_period_more_than_in_arrears():
    flows = [Decimal(100)] * 5
    late = present_value(flows, Decimal("0.08"), Decimal(1))
    early = present_value(flows, Decimal("0.08"), Decimal(0))
    assert money(early) == money(late * Decimal("1.08"))
    assert money(late) == "399.27"


def test_a_share_of_nothing_is_undefined():
    assert percent(Decimal(1), Decimal(0)) is None


@pytest.mark.parametrize(("value", "word"), [(1, "up"), (-1, "down"), (0, "same")])
def test_a_phrase_follows_the_sign(value, word):
    assert by_sign(Decimal(value), "up", "down", "same") == word


def test_a_result_beyond_exact_arithmetic_is_an_error_with_its_limit():
    with pytest.raises(InvalidInput, match="computed exactly"):
        money(Decimal(10) ** 30)
