"""Cap tables: rounds, convertibles, exit waterfalls."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.registry import get
from config.errors import InvalidInput


def funding(**arguments):
    return get("corporate.funding_round").call(
        {
            "cap_table": [{"holder": "founders", "shares": 8_000_000}],
            "pre_money_valuation": 8_000_000,
            "new_investment": 2_000_000,
            **arguments,
        }
    )


def leave(proceeds, **terms):
    classes = [
        {"name": "ordinary", "shares": 700},
        {"name": "A", "shares": 300, "invested": 1000, "preference_multiple": 1, **terms},
    ]
    result = get("corporate.exit_waterfall").call(
        {"exit_proceeds": proceeds, "share_classes": classes}
    )
    return {row["share_class"]: row["receives"] for row in result["payouts"]}


def test_a_plain_round_prices_existing_shares_at_the_pre_money():
    result = funding()
    assert result["price_per_share"] == 1.0
    assert result["new_shares_issued"] == 2_000_000
    assert result["new_investor_percent"] == 20.0


def test_a_pool_in_the_pre_money_dilutes_existing_holders_only():
    result = funding(pool_after_round_ratio="0.1")
    assert result["price_per_share"] == 0.875
    assert result["new_investor_percent"] == 20.0
    assert result["cap_table_after"][0]["after_percent"] == 70.0


def test_a_discounted_note_converts_below_the_round_price():
    result = funding(
        convertible_notes=[{"holder": "note", "principal": 800_000, "discount": "0.2"}]
    )
    # 8,000,000 p + 800,000 / 0.8 = 8,000,000
    assert result["price_per_share"] == 0.875
    assert result["note_shares_issued"] == pytest.approx(1_142_857, abs=1)


@pytest.mark.parametrize(("cap", "shares"), [(4_000_000, 1_600_000), (80_000_000, 1_142_857)])
def test_the_better_of_cap_and_discount_applies(cap, shares):
    note = {"holder": "n", "principal": 800_000, "discount": "0.2", "valuation_cap": cap}
    result = funding(convertible_notes=[note])
    assert result["note_shares_issued"] == pytest.approx(shares, abs=1)


def test_notes_that_take_more_than_the_company_is_worth_are_refused():
    with pytest.raises(InvalidInput, match="pre_money_valuation"):
        funding(convertible_notes=[{"holder": "n", "principal": 9_000_000}])


def test_all_shares_add_to_a_hundred_percent():
    result = funding(
        pool_after_round_ratio="0.12",
        convertible_notes=[{"holder": "n", "principal": 500_000, "valuation_cap": 5_000_000}],
    )
    held = sum(row["after_percent"] for row in result["cap_table_after"])
    pool = 100 * result["pool_shares_created"] / result["total_shares_after"]
    assert held + pool + result["new_investor_percent"] == pytest.approx(100, abs=0.02)
    assert pool == pytest.approx(12, abs=0.01)


@pytest.mark.parametrize(
    ("proceeds", "terms", "preferred"),
    [
        (600, {}, "600.00"),  # all of it goes to the preference
        (2000, {}, "1000.00"),
        (3333, {}, "1000.00"),  # converting would give 999.90
        (5000, {}, "1500.00"),  # converts
        (5000, {"participating": True}, "2200.00"),
        (5000, {"preference_multiple": 2}, "2000.00"),
        (5000, {"preference_multiple": 0}, "1500.00"),
    ],
)
def test_a_class_takes_the_better_of_preference_and_share(proceeds, terms, preferred):
    assert leave(proceeds, **terms)["A"] == preferred


def test_seniority_is_paid_in_order_and_equals_share_what_is_left():
    classes = [
        {"name": "ordinary", "shares": 10},
        {"name": "A", "shares": 5, "invested": 60, "preference_multiple": 1, "seniority": 2},
        {"name": "B", "shares": 5, "invested": 20, "preference_multiple": 1, "seniority": 2},
        {"name": "C", "shares": 5, "invested": 50, "preference_multiple": 1, "seniority": 1},
    ]
    result = get("corporate.exit_waterfall").call(
        {"exit_proceeds": 100, "exit_costs": 10, "share_classes": classes}
    )
    paid = {row["share_class"]: row["receives"] for row in result["payouts"]}
    assert paid == {"ordinary": "0.00", "A": "30.00", "B": "10.00", "C": "50.00"}


@given(proceeds=st.integers(0, 100_000), participating=st.booleans())
def test_all_proceeds_are_paid_out(proceeds, participating):
    paid = leave(proceeds, participating=participating)
    assert abs(sum(Decimal(value) for value in paid.values()) - proceeds) <= Decimal("0.01")


def test_somebody_must_hold_ordinary_shares():
    only = {"name": "A", "shares": 1, "invested": 1, "preference_multiple": 1}
    with pytest.raises(InvalidInput, match="share_classes"):
        get("corporate.exit_waterfall").call({"exit_proceeds": 5, "share_classes": [only]})
