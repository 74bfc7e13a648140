"""Corporate taxes of the United Kingdom, Germany and the United States."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools import registry
from config.errors import InvalidInput


def uk(profits: float, start: str = "2024-04-01", end: str = "2025-03-31", **more: Any) -> Any:
    return registry.get("tax.uk_corporation_tax").call(
        {"taxable_profits": profits, "period_start": start, "period_end": end, **more}
    )


@pytest.mark.parametrize(
    ("profits", "tax"),
    [
        (0, 0.0),
        (50_000, 9_500.0),  # the lower limit itself pays the small profits rate
        (50_001, 9_500.27),  # and the next pound 26.5 pence
        (150_000, 36_000.0),  # published example: relief of 1,500
        (250_000, 62_500.0),
        (1_000_000, 250_000.0),
    ],
)
def test_marginal_relief_joins_the_two_rates(profits, tax):
    assert uk(profits)["corporation_tax_due"] == pytest.approx(tax, abs=0.005)


def test_dividends_count_against_the_limits_but_are_not_taxed():
    result = uk(100_000, exempt_distributions=50_000)
    # 3/200 x (250,000 - 150,000) x 100,000 / 150,000
    assert result["marginal_relief"] == 1_000.0
    assert result["corporation_tax_due"] == 24_000.0


def test_associated_companies_share_the_limits():
    result = uk(40_000, associated_companies=1)
    assert (result["adjusted_lower_limit"], result["adjusted_upper_limit"]) == (25_000.0, 125_000.0)
    assert result["corporation_tax_due"] == 10_000.0 - 1_275.0


def test_a_period_over_the_change_of_rates_is_split_by_days():
    years = uk(365_000, "2023-01-01", "2023-12-31")["financial_years"]
    assert [(y["financial_year"], y["days"], y["tax_after_relief"]) for y in years] == [
        (2022, 90, 17_100.0),
        (2023, 275, 68_750.0),
    ]


def test_holding_companies_get_no_relief():
    assert uk(40_000, close_investment_holding=True)["corporation_tax_due"] == 10_000.0


def test_payment_is_due_nine_months_and_a_day_after_a_month_end():
    assert uk(1, "2024-06-01", "2025-05-31")["payment_due"] == "2026-03-01"


def test_thirteen_months_are_refused():
    with pytest.raises(InvalidInput, match="12 months"):
        uk(1, "2024-01-01", "2025-01-31")


def test_leap_years_are_full_years():
    assert uk(1, "2024-03-01", "2025-02-28")["adjusted_upper_limit"] == 250_000.0


def germany(income: float, multiplier: int = 400, year: int = 2025, **more: Any) -> Any:
    return registry.get("tax.german_corporate_tax").call(
        {
            "taxable_income": income,
            "municipal_multiplier_percent": multiplier,
            "assessment_year": year,
            **more,
        }
    )


def test_a_multiplier_of_400_gives_the_textbook_rate():
    result = germany(1_000_000)
    assert result["effective_rate_percent"] == 29.83
    assert (result["corporate_income_tax"], result["trade_tax"]) == (150_000.0, 140_000.0)


def test_trade_income_is_rounded_down_to_full_hundreds():
    assert germany(99_999.99)["trade_income_rounded"] == 99_900.0


def test_finance_costs_are_added_back_above_the_allowance():
    assert germany(0, interest_expense=200_000)["trade_tax_add_back"] == 0.0
    assert germany(0, interest_expense=240_000)["trade_tax_add_back"] == 10_000.0


def test_losses_cover_a_million_in_full_and_then_a_share():
    result = germany(2_000_000, loss_carryforward=9_000_000, trade_loss_carryforward=9_000_000)
    assert (result["losses_used"], result["trade_losses_used"]) == (1_700_000.0, 1_600_000.0)
    assert germany(2_000_000, year=2023, loss_carryforward=9e6)["losses_used"] == 1_600_000.0


def test_a_multiplier_below_the_legal_minimum_is_refused():
    with pytest.raises(InvalidInput, match="municipal_multiplier_percent"):
        germany(1, multiplier=199)


def america(income: float, *states: dict[str, Any], **more: Any) -> Any:
    return registry.get("tax.us_corporate_tax").call(
        {
            "us_income_before_losses": income,
            "everywhere_sales": 1000,
            "states": list(states),
            **more,
        }
    )


def test_state_tax_is_deducted_for_federal_tax():
    result = america(1000, {"state": "CA", "rate": 0.10, "sales": 500})
    assert (result["total_state_tax"], result["federal_tax"]) == (50.0, 199.5)


def test_three_factors_weigh_alike_and_a_missing_one_drops_out():
    state = {"state": "MT", "rate": 0.1, "sales": 500, "payroll": 100, "formula": "three_factor"}
    both = america(900, state, everywhere_payroll=1000)
    assert both["state_apportionment"][0]["apportionment_percent"] == 30.0


def test_losses_cover_eighty_percent_of_income():
    result = america(1000, nol_carryforward=900)
    assert (result["nol_used"], result["nol_remaining"], result["federal_tax"]) == (800, 100, 42)


@pytest.mark.parametrize(
    "states",
    [
        [{"state": "CA", "rate": 0.1, "sales": 1001}],
        [{"state": "CA", "rate": 0.1, "sales": 1}, {"state": "CA", "rate": 0.1, "sales": 1}],
        [{"state": "California", "rate": 0.1, "sales": 1}],
        [{"state": "CA", "rate": 1.1, "sales": 1}],
    ],
)
def test_impossible_states_are_refused(states):
    with pytest.raises(InvalidInput, match="states"):
        america(1000, *states)
