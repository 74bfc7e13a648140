"""The statement of cash flows: signs of each movement and the tie to cash."""

import pytest

from agents.tools.registry import get

LEVEL = {"inventories": 50, "trade_receivables": 80, "trade_payables": 40, "cash": 10}


def cash_flow(closing=None, **arguments):
    return get("accounting.cash_flow_indirect").call(
        {
            "profit_before_tax": 100,
            "opening_balances": LEVEL,
            "closing_balances": {**LEVEL, **(closing or {})},
            **arguments,
        }
    )


@pytest.mark.parametrize(
    ("closing", "change"),
    [
        ({"inventories": 60}, "-10.00"),
        ({"trade_receivables": 65}, "15.00"),
        ({"trade_payables": 47}, "7.00"),
        ({"provisions": 5}, "5.00"),
    ],
)
def test_working_capital_uses_or_brings_cash(closing, change):
    assert cash_flow(closing)["working_capital_change"] == change


def test_what_is_not_cash_or_not_operating_is_undone():
    result = cash_flow(
        non_cash_items={
            "depreciation_and_amortisation": 30,
            "impairment_losses": 4,
            "gain_on_disposal": 9,
            "net_finance_cost": 6,
        },
        interest_paid=5,
        income_tax_paid=20,
    )
    assert result["profit_before_working_capital"] == "131.00"
    assert result["net_cash_from_operating"] == "106.00"


def test_three_totals_that_equal_the_movement_agree():
    result = cash_flow(
        {"cash": 45},
        investing={"capital_expenditure": 90, "disposal_proceeds": 10},
        financing={"borrowings_raised": 50, "borrowings_repaid": 20, "dividends_paid": 15},
    )
    assert result["net_change_in_cash"] == "35.00"
    assert result["free_cash_flow"] == "10.00"
    assert result["cash_flow_verdict"] == "agrees with the cash movement"


def test_a_missing_item_is_shown_as_the_difference():
    result = cash_flow({"cash": 103})
    assert result["difference_to_cash_movement"] == "-7.00"
    assert result["cash_flow_verdict"] == "does not agree with the cash movement"


def test_conversion_of_a_loss_is_undefined():
    assert cash_flow(profit_before_tax=-5)["cash_conversion_percent"] is None
