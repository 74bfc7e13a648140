"""What holds for every input: taxes grow without jumps, totals are conserved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.tools import registry

POUNDS = st.integers(0, 600_000)
MARGINS = st.lists(st.integers(-2000, 4000).map(lambda n: n / 100), min_size=4, max_size=30)


def call(tool: str, **arguments: Any) -> Any:
    return registry.get(tool).call(arguments)


def uk(profits: int, **more: Any) -> float:
    period = {"period_start": "2024-04-01", "period_end": "2025-03-31"}
    tax: float = call("tax.uk_corporation_tax", taxable_profits=profits, **period, **more)[
        "corporation_tax_due"
    ]
    return tax


@settings(max_examples=60, deadline=None)
@given(POUNDS, st.integers(0, 4))
def test_one_more_pound_costs_between_19_and_27_pence(profits, associated):
    step = uk(profits + 1, associated_companies=associated) - uk(
        profits, associated_companies=associated
    )
    assert 0.19 - 0.011 <= step <= 0.265 + 0.011


@settings(max_examples=60, deadline=None)
@given(MARGINS, st.integers(-50_000, 80_000))
def test_quartiles_are_in_order_and_the_adjusted_margin_is_the_median(margins, profit):
    result = call(
        "tax.transfer_pricing_range",
        comparables=[
            {"company": str(index), "margin_percent": margin}
            for index, margin in enumerate(margins)
        ],
        tested_profit=profit,
        tested_base=100_000,
    )
    low, middle, high = (
        result[f"{name}_percent"] for name in ("lower_quartile", "median", "upper_quartile")
    )
    assert min(margins) <= low <= middle <= high <= max(margins)
    if result["profit_adjustment"]:
        adjusted = (profit + result["profit_adjustment"]) / 100_000 * 100
        assert adjusted == pytest.approx(middle, abs=0.0051)


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["goods", "services", "digital_services"]),
            "customer_country": st.sampled_from(["DE", "FR", "IE", "US", "CH", "NL"]),
            "net_amount": st.integers(1, 20_000),
            "customer_type": st.sampled_from(["business", "consumer"]),
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(LINES)
def test_every_cent_of_vat_is_in_exactly_one_total(lines):
    result = call(
        "tax.eu_vat_supplies", supplier_country="NL", supply_date="2025-03-01", supplies=lines
    )
    by_line = sum(row["vat_due"] for row in result["supply_treatments"])
    totals = ("domestic_vat_due", "oss_vat_due", "registration_abroad_vat")
    assert sum(result[name] for name in totals) == pytest.approx(by_line, abs=0.02 * len(lines))
    oss = sum(row["oss_vat"] for row in result["oss_vat_by_country"])
    assert oss == pytest.approx(result["oss_vat_due"], abs=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.sampled_from(["taxable", "exempt", "residual"]),
)
def test_input_tax_is_either_reclaimed_or_named_as_lost(taxable, exempt, bought, attribution):
    result = call(
        "tax.uk_vat_return",
        period_end="2025-09-30",
        sales=[{"treatment": "standard", "net": taxable}, {"treatment": "exempt", "net": exempt}],
        purchases=[{"treatment": "standard", "net": bought, "attribution": attribution}],
    )
    total = result["box_4_vat_reclaimed"] + result["irrecoverable_input_vat"]
    assert total == pytest.approx(bought * 0.2, abs=0.011)


@settings(max_examples=60, deadline=None)
@given(st.integers(-3_000_000, 6_000_000), st.integers(0, 9_000_000), st.integers(2020, 2033))
def test_german_losses_are_used_or_carried_forward(income, losses, year):
    result = call(
        "tax.german_corporate_tax",
        taxable_income=income,
        municipal_multiplier_percent=400,
        assessment_year=year,
        loss_carryforward=losses,
    )
    kept = result["losses_used"] + result["losses_carried_forward"]
    assert kept == pytest.approx(losses + max(-income, 0))
    assert 0 <= result["losses_used"] <= max(income, 0)
