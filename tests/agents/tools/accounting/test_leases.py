"""Leases: IFRS 16 illustrative example 13, and the schedule's own arithmetic."""

from decimal import Decimal

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput


def schedule(**arguments):
    return get("accounting.lease_schedule").call(arguments)


def remeasure(**arguments):
    return get("accounting.lease_remeasurement").call(arguments)


EXAMPLE_13 = {
    "lease_payment": 50_000,
    "lease_term_years": 10,
    "incremental_borrowing_rate": "0.05",
    "paid_in_advance": True,
    "initial_direct_costs": 20_000,
    "lease_incentives": 5_000,
}


def test_initial_measurement_is_that_of_illustrative_example_13():
    result = schedule(**EXAMPLE_13)
    assert round(Decimal(result["lease_liability"])) == 355_391
    assert round(Decimal(result["right_of_use_asset"])) == 420_391


def test_an_extension_is_remeasured_as_in_illustrative_example_13():
    result = remeasure(
        liability_before=186_160,
        right_of_use_before=168_157,
        remaining_payments=[50_000] * 4 + [55_000] * 5,
        remeasurement_rate="0.06",
        first_payment_now=True,
    )
    assert round(Decimal(result["remeasured_liability"])) == 378_174
    assert round(Decimal(result["change_in_liability"])) == 192_014


@pytest.mark.parametrize("advance", [True, False])
@pytest.mark.parametrize("per_year", [1, 4, 12])
def test_interest_and_payments_unwind_the_liability_to_nothing(advance, per_year):
    result = schedule(
        lease_payment=1000,
        payments_per_year=per_year,
        lease_term_years=5,
        incremental_borrowing_rate="0.07",
        paid_in_advance=advance,
    )
    rows = result["schedule"]
    paid = sum(Decimal(row["paid"]) for row in rows)
    assert Decimal(rows[-1]["closing_liability"]) == Decimal(rows[-1]["closing_asset"]) == 0
    assert paid == 1000 * (5 * per_year - advance)
    interest = paid - Decimal(result["lease_liability"])
    assert abs(Decimal(result["total_interest"]) - interest) <= Decimal("0.05")


def test_a_year_in_advance_closes_before_the_next_years_payment():
    first, second = schedule(**EXAMPLE_13)["schedule"][:2]
    assert (first["paid"], second["paid"]) == ("0.00", "50000.00")
    assert round(Decimal(first["closing_liability"])) == 373_161


def test_what_is_due_within_a_year_is_not_non_current():
    result = schedule(**EXAMPLE_13)
    assert round(Decimal(result["non_current_after_year_one"])) == 373_161 - 50_000


@pytest.mark.parametrize("extra", [{"lease_term_years": 1}, {"low_value_asset": True}])
def test_a_short_or_low_value_lease_may_be_expensed(extra):
    lease = {
        "lease_payment": 100,
        "payments_per_year": 12,
        "lease_term_years": 3,
        "incremental_borrowing_rate": "0.05",
    }
    result = schedule(**{**lease, **extra})
    assert result["recognition"].startswith("exemption available")
    assert result["straight_line_expense_a_year"] == "1200.00"


def test_a_decrease_beyond_the_asset_goes_to_profit():
    result = remeasure(
        liability_before=100,
        right_of_use_before=60,
        remaining_payments=[30],
        remeasurement_rate=0,
    )
    assert (result["right_of_use_after"], result["gain_in_profit"]) == ("0.00", "10.00")


def test_a_broken_number_of_payments_is_refused():
    with pytest.raises(InvalidInput, match="whole number of payments"):
        schedule(lease_payment=1, lease_term_years="1.1", incremental_borrowing_rate=0)
