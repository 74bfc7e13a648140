"""Restructuring: runway, Altman's models, who is paid in which order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.registry import get

AMOUNT = st.integers(0, 5_000_000)


def runway(*weeks, **arguments):
    flows = [{"receipts": into, "payments": out} for into, out in weeks]
    return get("corporate.cash_runway").call(
        {"opening_cash": 100, "weekly_cash_flows": flows, **arguments}
    )


def waterfall(**arguments):
    claims = {
        "fixed_charge_assets": 0,
        "floating_charge_assets": 0,
        "secured_debt": 0,
        "insolvency_costs": 0,
        "unsecured_claims": 0,
    }
    return get("corporate.insolvency_waterfall").call({**claims, **arguments})


def test_the_lowest_point_and_not_the_end_sets_the_funding_need():
    result = runway((0, 80), (0, 70), (200, 20))
    assert (result["closing_cash"], result["funding_need"]) == ("130.00", "50.00")
    assert (result["lowest_cash_week"], result["first_week_of_breach"]) == (2, 2)


@pytest.mark.parametrize(
    ("extra", "breach"),
    [
        ({}, "none"),
        ({"minimum_cash": 30}, 2),
        ({"minimum_cash": 30, "facility_limit": 20}, "none"),
        ({"receipts_shortfall_ratio": "0.5"}, 2),
    ],
)
def test_facility_minimum_and_stress_move_the_week_of_breach(extra, breach):
    assert runway((50, 70), (30, 90), **extra)["first_week_of_breach"] == breach


@pytest.mark.parametrize(
    ("model", "score", "zone"),
    [
        ("listed", 2.279, "grey zone"),
        ("private", 1.872, "grey zone"),
        ("non_manufacturer", 3.686, "safe zone"),
    ],
)
def test_each_altman_model_has_its_weights_and_limits(model, score, zone):
    result = get("corporate.altman_z").call(
        {
            "working_capital": 20,
            "retained_earnings": 20,
            "ebit": 10,
            "book_equity": 50,
            "total_liabilities": 50,
            "total_assets": 100,
            "sales": 83 if model != "non_manufacturer" else 0,
            "altman_model": model,
        }
    )
    assert (result["z_score"], result["z_zone"]) == (score, zone)


@pytest.mark.parametrize(
    ("assets", "recent", "part"),
    [
        (8_000, True, "4000.00"),
        (10_000, True, "5000.00"),
        (110_000, True, "25000.00"),
        (3_985_000, True, "800000.00"),  # the cap is just reached
        (9_000_000, True, "800000.00"),
        (9_000_000, False, "600000.00"),
    ],
)
def test_the_prescribed_part_is_half_then_a_fifth_up_to_its_cap(assets, recent, part):
    result = waterfall(
        floating_charge_assets=assets,
        secured_debt=20_000_000,
        unsecured_claims=20_000_000,
        charge_since_april_2020=recent,
    )
    assert result["prescribed_part"] == result["unsecured_paid"] == part


def test_costs_and_preferential_creditors_come_before_the_floating_charge():
    result = waterfall(
        floating_charge_assets=100,
        secured_debt=500,
        insolvency_costs=60,
        ordinary_preferential=30,
        secondary_preferential=40,
    )
    assert result["ordinary_preferential_paid"] == "30.00"
    assert result["secondary_preferential_paid"] == "10.00"
    assert result["secured_lender_paid"] == "0.00"


def test_without_a_floating_charge_claim_there_is_no_prescribed_part():
    result = waterfall(fixed_charge_assets=300, secured_debt=200, unsecured_claims=50)
    assert result["prescribed_part"] == "0.00"
    assert (result["unsecured_paid"], result["surplus_to_members"]) == ("50.00", "50.00")


@given(fixed=AMOUNT, floating=AMOUNT, secured=AMOUNT, costs=AMOUNT, unsecured=AMOUNT)
def test_what_is_realised_is_what_is_paid(fixed, floating, secured, costs, unsecured):
    result = waterfall(
        fixed_charge_assets=fixed,
        floating_charge_assets=floating,
        secured_debt=secured,
        insolvency_costs=costs,
        unsecured_claims=unsecured,
    )
    names = ("costs_paid", "secured_lender_paid", "unsecured_paid", "surplus_to_members")
    assert sum(Decimal(result[name]) for name in names) == fixed + floating
