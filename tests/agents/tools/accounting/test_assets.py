"""Fixed assets: months, methods, disposal, impairment."""

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput

MACHINE = {
    "cost": 1200,
    "useful_life_years": 4,
    "depreciation_method": "straight_line",
    "available_on": "2023-01-01",
    "reporting_date": "2025-12-31",
}


def depreciate(**arguments):
    return get("accounting.depreciate").call({**MACHINE, **arguments})


@pytest.mark.parametrize(
    ("change", "charges"),
    [
        ({}, ["300.00", "300.00", "300.00"]),
        ({"available_on": "2023-10-20"}, ["75.00", "300.00", "300.00"]),
        ({"available_on": "2025-12-31"}, ["25.00"]),
        ({"reporting_date": "2025-06-30"}, ["150.00", "300.00", "300.00"]),
        ({"residual_value": 200}, ["250.00", "250.00", "250.00"]),
        ({"reporting_date": "2028-12-31"}, ["300.00"] * 4 + ["0.00"] * 2),
        ({"disposed_on": "2025-04-09"}, ["300.00", "300.00", "75.00"]),
        ({"disposed_on": "2023-01-30"}, ["0.00"]),
    ],
)
def test_straight_line_goes_by_whole_months_of_use(change, charges):
    assert depreciate(**change)["charges_by_year"] == charges


def test_diminishing_balance_stops_at_the_residual_value():
    result = depreciate(
        depreciation_method="diminishing_balance", diminishing_rate="0.5", residual_value=200
    )
    assert result["charges_by_year"] == ["600.00", "300.00", "100.00"]


def test_the_implied_diminishing_rate_ends_at_the_residual_value():
    result = depreciate(
        depreciation_method="diminishing_balance", residual_value=75, reporting_date="2026-12-31"
    )
    assert result["charges_by_year"][0] == "600.00"
    assert result["carrying_amount"] == "75.00"


def test_units_of_production_follow_use():
    result = depreciate(depreciation_method="units_of_production", units_total=1000, units_used=250)
    assert result["carrying_amount"] == "900.00"


@pytest.mark.parametrize(("proceeds", "gain"), [(700, "175.00"), (400, "-125.00")])
def test_disposal_compares_proceeds_with_the_carrying_amount(proceeds, gain):
    result = depreciate(disposed_on="2025-04-09", disposal_proceeds=proceeds)
    assert result["carrying_amount_at_disposal"] == "525.00"
    assert result["gain_or_loss_on_disposal"] == gain


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"residual_value": 1200}, "residual_value"),
        ({"reporting_date": "2022-12-31"}, "reporting_date"),
        ({"disposed_on": "2026-02-01"}, "disposed_on"),
        ({"useful_life_years": None}, "useful_life_years"),
        ({"depreciation_method": "diminishing_balance"}, "residual_value"),
        ({"depreciation_method": "units_of_production"}, "units_total"),
        ({"cost": -5}, "cost"),
    ],
)
def test_a_value_that_can_not_be_is_named(change, field):
    with pytest.raises(InvalidInput, match=field):
        depreciate(**change)


def impair(**arguments):
    return get("accounting.impairment_test").call(
        {"cash_flows_in_use": [110, 121], "pre_tax_discount_rate": "0.1", **arguments}
    )


def test_recoverable_amount_is_the_higher_of_sale_and_use():
    assert impair(carrying_amount=250, fair_value_less_costs=180)["recoverable_amount"] == "200.00"
    assert impair(carrying_amount=250, fair_value_less_costs=220)["impairment_loss"] == "30.00"


def test_a_units_loss_goes_to_goodwill_first():
    result = impair(carrying_amount=260, fair_value_less_costs=0, goodwill_in_unit=45)
    assert (result["loss_to_goodwill"], result["loss_to_other_assets"]) == ("45.00", "15.00")


def test_headroom_means_no_impairment():
    result = impair(carrying_amount=150, fair_value_less_costs=0)
    assert (result["headroom"], result["impairment_verdict"]) == ("50.00", "not impaired")
