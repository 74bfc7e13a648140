"""Transfer pricing, withholding tax, Pillar Two, research relief, deferred tax, rate tables."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from agents.tools import registry
from agents.tools.tax import rates
from config.errors import InvalidInput


def call(tool: str, **arguments: Any) -> Any:
    return registry.get(f"tax.{tool}").call(arguments)


def margins(*values: float) -> list[dict[str, Any]]:
    return [{"company": f"C{i}", "margin_percent": value} for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "quartiles"),
    [
        # Treas. Reg. 1.482-1(e)(5), example 3: range from 43 to 46.25, adjusted to 44.50.
        ((42, 44, 45, 47.5), (43.0, 44.5, 46.25)),
        ((42, 44, 45, 45, 48, 50, 52, 60), (44.5, 46.5, 51.0)),
        ((1, 2, 3, 4, 5, 6, 7), (2.0, 4.0, 6.0)),
        ((4, 1, 3, 2), (1.5, 2.5, 3.5)),
    ],
)
def test_quartiles_follow_the_regulation(values, quartiles):
    result = call(
        "transfer_pricing_range", comparables=margins(*values), tested_profit=1, tested_base=100
    )
    assert quartiles == tuple(
        result[f"{name}_percent"] for name in ("lower_quartile", "median", "upper_quartile")
    )


def test_a_margin_on_the_edge_of_the_range_needs_no_adjustment():
    result = call(
        "transfer_pricing_range", comparables=margins(2, 4, 6, 8), tested_profit=3, tested_base=100
    )
    assert result["profit_adjustment"] == 0.0


def test_three_comparables_are_too_few():
    with pytest.raises(InvalidInput, match="at least 4"):
        call(
            "transfer_pricing_range", comparables=margins(1, 2, 3), tested_profit=1, tested_base=100
        )


def payment(**fields: Any) -> dict[str, Any]:
    known = {"payer_country": "FR", "recipient_country": "DE", "kind": "dividend", "gross": 1000}
    return known | fields


@pytest.mark.parametrize(
    ("fields", "withheld"),
    [
        ({}, 150.0),  # portfolio treaty rate
        ({"holding": 0.1}, 50.0),  # direct investment, too short for the directive
        ({"holding": 0.1, "holding_months": 24}, 0.0),  # Parent-Subsidiary Directive
        ({"holding": 0.5, "holding_months": 60, "beneficial_owner": False}, 250.0),
        ({"kind": "interest"}, 0.0),
        ({"treaty_form_filed": False}, 250.0),
        ({"recipient_country": "AT"}, 250.0),  # no treaty held: never guessed
    ],
)
def test_the_lowest_rate_that_applies_is_withheld(fields, withheld):
    assert call("withholding", payments=[payment(**fields)])["total_withheld"] == withheld


def test_what_was_withheld_too_much_is_reclaimed():
    result = call("withholding", payments=[payment(treaty_form_filed=False)])
    assert (result["total_reclaimable"], result["final_tax_cost"]) == (100.0, 150.0)


def globe(year: int = 2025, revenues: tuple[int, ...] = (800, 800), **fields: Any) -> Any:
    known = {"jurisdiction": "IE", "globe_income": 1_000_000, "covered_taxes": 100_000}
    return call(
        "pillar_two_topup",
        fiscal_year=year,
        preceding_revenues=[revenue * 10**6 for revenue in revenues],
        globe_jurisdictions=[known | fields],
    )


def test_topup_is_the_gap_on_what_substance_does_not_cover():
    result = globe(payroll_costs=1_000_000, tangible_assets=500_000)
    # 2025: 9.6 % of payroll and 7.6 % of assets; 5 % on the rest
    assert result["globe_results"][0]["substance_carve_out"] == 134_000.0
    assert result["total_topup_tax"] == 43_300.0


@pytest.mark.parametrize(("revenues", "due"), [((750, 749, 0, 750), 50_000), ((750, 749), 0)])
def test_scope_needs_two_of_four_years(revenues, due):
    assert globe(revenues=revenues)["total_topup_tax"] == due


@pytest.mark.parametrize(
    ("year", "payroll", "assets"), [(2023, 10, 8), (2028, 9, 7), (2032, 5.8, 5.4), (2033, 5, 5)]
)
def test_the_carve_out_shrinks_over_the_transition(year, payroll, assets):
    result = globe(year)
    assert result["payroll_carve_out_percent"] == payroll
    assert result["asset_carve_out_percent"] == assets


def research(result: float, **more: Any) -> Any:
    known: dict[str, Any] = {
        "staff_costs": 100_000,
        "subcontracted_costs": 0,
        "consumables": 0,
        "total_relevant_expenditure": 200_000,
        "paye_and_nic": 50_000,
        "period_start": "2025-01-01",
    }
    return call("uk_rd_relief", trading_result=result, **(known | more))


def test_intensive_losses_get_almost_twenty_seven_percent():
    result = research(-500_000)
    assert result["enhanced_payable_credit"] == 26_970.0
    assert result["recommended_route"] == "enhanced intensive support"


def test_a_profit_gets_the_credit_net_of_tax():
    assert research(1)["merged_net_benefit"] == 15_000.0


def test_a_payable_credit_is_capped_by_paye():
    assert research(-500_000, paye_and_nic=0)["enhanced_payable_credit"] == 20_000.0


def test_periods_before_the_scheme_are_refused():
    with pytest.raises(InvalidInput, match="period_start"):
        research(1, period_start="2024-03-31")


def test_deferred_tax_assets_stop_at_what_can_be_used():
    result = call(
        "deferred_tax",
        enacted_rate=0.25,
        unused_losses=1000,
        probable_future_profit=100,
        tax_balances=[
            {"item": "plant", "side": "asset", "carrying_amount": 500, "tax_base": 300},
            {"item": "provision", "side": "liability", "carrying_amount": 80, "tax_base": 0},
        ],
    )
    assert result["deferred_tax_liability"] == 50.0
    assert (result["deferred_tax_asset"], result["unrecognised_asset"]) == (75.0, 195.0)


def test_rate_reconciliation_ends_at_the_charge():
    result = call(
        "effective_rate_reconciliation",
        profit_before_tax=1000,
        enacted_rate=0.2,
        permanent_differences=[{"item": "fine", "amount": 100}],
        prior_year_adjustment=5,
    )
    assert (result["total_tax_charge"], result["effective_tax_rate_percent"]) == (225.0, 22.5)


def test_at_least_eight_jurisdictions_have_vat_and_corporate_tax():
    day = date(2026, 1, 1)
    both = [
        code
        for code in rates.known_jurisdictions()
        if code != "US" and rates.vat_rate(code, day).standard > 0
    ]
    assert len(both) >= 8
    assert all(rates.corporate_rate(code, day).combined > 0 for code in both)


def test_every_rate_names_its_source_as_sample_data():
    for code in rates.known_jurisdictions():
        assert (
            "sample data, verify before use" in rates.corporate_rate(code, date(2026, 1, 1)).source
        )


def test_rows_of_a_country_stand_in_order_of_time():
    document = rates._document()
    for section in ("vat", "corporate_tax"):
        for code, rows in document[section].items():
            starts = [row["valid_from"] for row in rows]
            assert starts == sorted(set(starts)), (section, code)


def test_a_date_before_the_table_is_refused():
    with pytest.raises(InvalidInput, match="held from"):
        rates.corporate_rate("GB", date(1999, 1, 1))


def test_an_unknown_country_is_listed_as_missing_not_guessed():
    result = call("rate_tables", jurisdictions=["GB", "ZZ", "GB"], on_date="2023-03-31")
    assert (result["covered"], result["missing"]) == (["GB"], ["ZZ"])
    assert result["rates"][0]["corporate_rate_percent"] == 19.0


def test_a_table_of_rates_names_the_source_of_each_of_its_two_taxes():
    one, other = call("rate_tables", jurisdictions=["FR", "US"], on_date="2026-01-01")["rates"]
    day = date(2026, 1, 1)
    assert one["vat_source"] == rates.vat_rate("FR", day).source != one["source"]
    assert one["source"] == rates.corporate_rate("FR", day).source
    assert "vat_source" not in other  # it levies none


def estimate(code: str, profit: float, **more: Any) -> Any:
    figures = {"entity": f"{code} Ltd", "jurisdiction": code, "profit_before_tax": profit, **more}
    return call("jurisdiction_estimate", figures=figures, on_date="2025-12-31")


def test_an_entity_is_taxed_at_its_countrys_dated_rate():
    assert estimate("FR", 1000, non_deductible=200)["corporate_tax"] == 300.0
    assert estimate("ES", 1000, taxable_sales=500, taxable_purchases=100)["net_vat"] == 84.0
    assert estimate("US", 1000, taxable_sales=500)["output_vat"] == 0.0


def test_consolidation_pools_countries_and_counts_failures():
    parts = [estimate("IE", 1000), estimate("IE", 500), estimate("DE", 1000), None]
    result = call("consolidate_estimates", estimates=parts)
    assert (result["entities_estimated"], result["entities_failed"]) == (3, 1)
    assert result["low_taxed_jurisdictions"] == ["IE"]
    assert Decimal(str(result["group_corporate_tax"])) == Decimal("187.50") + Decimal("298.25")


def test_branches_of_a_group_are_consolidated_with_their_failures():
    branches = [[estimate("IE", 1000), None], None, [estimate("DE", 1000)]]
    result = call("consolidate_estimates", estimates=branches)
    assert (result["entities_estimated"], result["entities_failed"]) == (2, 2)
