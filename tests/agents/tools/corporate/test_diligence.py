"""Due diligence: what counts as earnings, the peg, the bridge."""

import pytest

from agents.tools.registry import get


def earnings(*rows):
    keys = ("amount", "kind", "proposed_by", "evidenced")
    adjustments = [{"description": "x", **dict(zip(keys, row, strict=True))} for row in rows]
    return get("corporate.quality_of_earnings").call(
        {"reported_ebitda": 1000, "adjustments": adjustments}
    )


@pytest.mark.parametrize(
    ("row", "adjusted", "refused"),
    [
        ((100, "one_off", "seller", True), "1100.00", "0.00"),
        ((100, "one_off", "seller", False), "1000.00", "100.00"),
        ((-100, "accounting", "buyer", False), "900.00", "0.00"),
        ((100, "run_rate", "seller", True), "1000.00", "0.00"),
    ],
)
def test_only_supported_and_earned_items_adjust_ebitda(row, adjusted, refused):
    result = earnings(row)
    assert (result["adjusted_ebitda"], result["refused_seller_items"]) == (adjusted, refused)


def test_ups_and_downs_do_not_hide_each_other():
    result = earnings((150, "one_off", "buyer", True), (-150, "owner", "buyer", True))
    assert result["adjusted_ebitda"] == "1000.00"
    assert result["adjustment_percent"] == 30.0
    assert result["earnings_verdict"].startswith("low quality")


@pytest.mark.parametrize(
    ("completion", "adjustment", "verdict"),
    [(40, "10.00", "buyer pays more"), (25, "-5.00", "price is reduced")],
)
def test_completion_against_the_mean_moves_the_price(completion, adjustment, verdict):
    result = get("corporate.working_capital_peg").call(
        {
            "monthly_working_capital": [20, 25, 30, 35, 40, 30],
            "working_capital_at_completion": completion,
        }
    )
    assert (result["working_capital_adjustment"], result["peg_verdict"]) == (adjustment, verdict)
    assert result["seasonality_percent"] == 66.67


def test_the_bridge_takes_debt_and_debt_like_items_and_gives_cash():
    result = get("corporate.price_bridge").call(
        {
            "adjusted_ebitda": 100,
            "entry_multiple": 6,
            "financial_debt": 250,
            "free_cash": 40,
            "debt_like_items": 30,
            "working_capital_adjustment": -15,
        }
    )
    assert (result["bridge_net_debt"], result["equity_price"]) == ("240.00", "345.00")
    assert result["net_debt_to_ebitda"] == 2.4
