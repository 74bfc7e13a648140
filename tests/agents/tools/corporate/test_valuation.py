"""Valuation: cost of capital, discounted cash flow against closed forms, multiples."""

from decimal import Decimal

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput


def capital(**arguments):
    return get("corporate.cost_of_capital").call(
        {
            "risk_free_rate": "0.03",
            "equity_risk_premium": "0.05",
            "asset_beta": 1,
            "debt_share": "0.5",
            "cost_of_debt": "0.06",
            "tax_rate": "0.25",
            **arguments,
        }
    )


def cash_flow(**arguments):
    return get("corporate.discounted_cash_flow").call(arguments)


def multiples(**arguments):
    return get("corporate.multiples_valuation").call(
        {"peer_multiples": [4, 6, 8, 20], "metric_amount": 100, **arguments}
    )


def test_debt_levers_beta_and_its_interest_is_after_tax():
    result = capital()
    assert result["equity_beta"] == 1.75
    assert result["cost_of_equity_percent"] == 11.75
    assert result["wacc_percent"] == 8.13


def test_without_debt_the_cost_of_capital_is_that_of_equity():
    result = capital(debt_share=0, size_premium="0.01")
    assert result["wacc_percent"] == result["cost_of_equity_percent"] == 9.0


def test_a_level_flow_without_growth_is_a_perpetuity():
    result = cash_flow(free_cash_flows=[100, 100, 100], wacc="0.1", terminal_growth=0)
    assert result["enterprise_value"] == "1000.00"


def test_a_plan_that_grows_like_the_terminal_value_is_a_growing_perpetuity():
    flows = [Decimal(100) * Decimal("1.02") ** year for year in range(4)]
    result = cash_flow(free_cash_flows=flows, wacc="0.1", terminal_growth="0.02", net_debt=250)
    assert (result["enterprise_value"], result["equity_value"]) == ("1250.00", "1000.00")


def test_mid_year_moves_all_flows_half_a_year_forward():
    plan = {"free_cash_flows": [50, 60], "wacc": "0.21", "terminal_growth": "0.01"}
    late = Decimal(cash_flow(**plan)["enterprise_value"])
    early = Decimal(cash_flow(**plan, mid_year=True)["enterprise_value"])
    assert abs(early - late * Decimal("1.1")) < Decimal("0.02")


def test_the_base_value_lies_within_the_range_of_the_sensitivity():
    result = cash_flow(free_cash_flows=[10, 12], wacc="0.1", terminal_growth="0.02")
    low, base, high = (Decimal(result[f"enterprise_value{name}"]) for name in ("_low", "", "_high"))
    assert low < base < high


def test_a_range_that_has_no_upper_end_says_so():
    result = cash_flow(free_cash_flows=[10], wacc="0.05", terminal_growth="0.04")
    assert result["enterprise_value_high"] == "not defined"


@pytest.mark.parametrize("growth", ["0.1", "0.12"])
def test_growth_that_reaches_the_wacc_is_refused(growth):
    with pytest.raises(InvalidInput, match="below the WACC"):
        cash_flow(free_cash_flows=[1], wacc="0.1", terminal_growth=growth)


def test_the_median_ignores_an_outlier_and_the_discount_takes_from_equity():
    result = multiples(peer_net_debt=100, marketability_discount="0.2")
    assert result["median_multiple"] == 7.0
    assert result["multiples_equity_median"] == "480.00"
    assert (result["multiples_equity_low"], result["multiples_equity_high"]) == (
        "360.00",
        "800.00",
    )


def test_an_equity_multiple_bears_no_debt():
    result = multiples(peer_net_debt=100, multiple_kind="equity")
    assert result["multiples_equity_median"] == "700.00"


def test_two_peers_are_too_few():
    with pytest.raises(InvalidInput, match="peer_multiples"):
        multiples(peer_multiples=[5, 6])
