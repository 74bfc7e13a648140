"""Statements tie out, ratios follow, earnings per share follow IAS 33's examples."""

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput

BALANCES = {
    "revenue": -1000,
    "cost_of_sales": 600,
    "operating_expense": 250,
    "finance_cost": 30,
    "income_tax": 24,
    "non_current_asset": 500,
    "inventory": 100,
    "current_asset": 200,
    "non_current_liability": -300,
    "current_liability": -150,
    "equity": -254,
}


def statements(**changes):
    lines = [
        {"account": name, "section": name, "balance": balance}
        for name, balance in {**BALANCES, **changes}.items()
    ]
    return get("accounting.financial_statements").call({"trial_balance": lines})


def per_share(**arguments):
    return get("accounting.earnings_per_share").call(arguments)


def test_profit_runs_from_gross_to_net():
    result = statements()
    assert result["gross_profit"] == "400.00"
    assert result["operating_profit"] == "150.00"
    assert result["profit_for_the_year"] == "96.00"


def test_assets_equal_equity_and_liabilities_when_it_ties_out():
    result = statements()
    assert result["total_assets"] == "800.00"
    assert (result["total_equity"], result["total_liabilities"]) == ("350.00", "450.00")
    assert result["tie_out"] == "statements tie out"


def test_a_difference_is_shown_with_its_amount():
    result = statements(current_asset=209)
    assert result["out_of_balance_by"] == "9.00"
    assert result["tie_out"].startswith("statements do not tie out")


def test_ratios_are_those_of_the_statements():
    result = statements()
    assert result["current_ratio"] == 2.0
    assert result["quick_ratio"] == 1.33
    assert result["interest_cover"] == 5.0
    assert result["gearing_percent"] == 46.15
    assert result["return_on_capital_percent"] == 23.08


def test_lost_equity_has_no_return():
    result = statements(equity=400, non_current_liability=-954)
    assert result["return_on_equity_percent"] is None
    assert result["gearing_percent"] is None


def test_shares_are_weighted_by_months_as_in_ias_33_example_2():
    # 1,700 at the start, 800 issued for 7 months, 250 bought back for 1 month.
    result = per_share(
        profit_for_the_year=2146,
        opening_shares=1700,
        share_changes=[{"shares": 800, "months": 7}, {"shares": -250, "months": 1}],
    )
    assert result["weighted_average_shares"] == 2146.0
    assert result["basic_earnings_per_share"] == 1.0001


def test_options_dilute_by_the_treasury_method_as_in_ias_33_example_5():
    result = per_share(
        profit_for_the_year=1_200_000,
        opening_shares=500_000,
        options_outstanding=100_000,
        exercise_price=15,
        average_market_price=20,
    )
    assert result["basic_earnings_per_share"] == 2.4
    assert result["diluted_earnings_per_share"] == 2.2857


@pytest.mark.parametrize(("profit", "exercise"), [(-100, 1), (100, 30)])
def test_a_loss_or_options_out_of_the_money_dilute_nothing(profit, exercise):
    result = per_share(
        profit_for_the_year=profit,
        opening_shares=10,
        options_outstanding=5,
        exercise_price=exercise,
        average_market_price=20,
    )
    assert result["dilution_verdict"] == "no dilution"


def test_options_need_a_market_price():
    with pytest.raises(InvalidInput, match="average_market_price"):
        per_share(profit_for_the_year=1, opening_shares=1, options_outstanding=1)


def test_an_unknown_section_is_refused():
    with pytest.raises(InvalidInput, match="section"):
        get("accounting.financial_statements").call(
            {"trial_balance": [{"account": "1", "section": "suspense", "balance": 1}]}
        )
