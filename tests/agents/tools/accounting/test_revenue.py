"""Revenue: the illustrative examples of IFRS 15, and what is refused."""

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput


def price(**arguments):
    return get("accounting.ifrs15_transaction_price").call(arguments)


def allocate(**arguments):
    return get("accounting.ifrs15_allocate").call(arguments)


def cost_to_cost(**arguments):
    return get("accounting.ifrs15_cost_to_cost").call(arguments)


def test_a_discount_is_allocated_in_proportion_as_in_illustrative_example_33():
    result = allocate(
        transaction_price=100,
        performance_obligations=[
            {"name": "A", "standalone_price": 50},
            {"name": "B", "standalone_price": 25},
            {"name": "C", "standalone_price": 75},
        ],
    )
    assert [row["allocated"] for row in result["obligations"]] == ["33.33", "16.67", "50.00"]


def test_an_obligation_without_price_takes_the_residual():
    result = allocate(
        transaction_price=130,
        performance_obligations=[
            {"name": "A", "standalone_price": 40},
            {"name": "B", "standalone_price": 55},
            {"name": "D"},
        ],
    )
    assert result["obligations"][2]["allocated"] == "35.00"
    assert result["discount_allocated"] == "0.00"


def test_two_obligations_without_price_are_refused():
    with pytest.raises(InvalidInput, match="A, B"):
        allocate(transaction_price=10, performance_obligations=[{"name": "A"}, {"name": "B"}])


def test_an_advance_payment_earns_interest_as_in_illustrative_example_29():
    result = price(fixed_consideration=4000, payment_delay_months=-24, financing_rate="0.06")
    assert result["transaction_price"] == "4494.40"


def test_payment_within_a_year_is_not_discounted():
    result = price(fixed_consideration=4000, payment_delay_months=12, financing_rate="0.06")
    assert result["transaction_price"] == "4000.00"


OUTCOMES = [
    {"amount": 100, "probability": "0.5"},
    {"amount": 40, "probability": "0.4"},
    {"amount": 0, "probability": "0.1"},
]


@pytest.mark.parametrize(
    ("extra", "included"),
    [
        ({}, "66.00"),
        ({"variable_method": "most_likely_amount"}, "100.00"),
        ({"highly_probable": "0.8"}, "40.00"),
        ({"highly_probable": "0.95"}, "0.00"),
        ({"highly_probable": "0.5"}, "66.00"),  # the constraint never raises the estimate
    ],
)
def test_variable_consideration_is_estimated_then_constrained(extra, included):
    result = price(fixed_consideration=0, variable_outcomes=OUTCOMES, **extra)
    assert result["variable_included"] == included


def test_probabilities_that_do_not_add_to_one_are_refused():
    with pytest.raises(InvalidInput, match="add to 1"):
        price(fixed_consideration=1, variable_outcomes=[{"amount": 5, "probability": "0.4"}])


def test_uninstalled_materials_earn_no_margin_as_in_illustrative_example_19():
    result = cost_to_cost(
        contract_price=5_000_000,
        costs_incurred=2_000_000,
        costs_to_complete=2_000_000,
        uninstalled_materials=1_500_000,
    )
    assert result["progress_percent"] == 20.0
    assert result["revenue_to_date"] == "2200000.00"
    assert result["result_to_date"] == "200000.00"


def test_an_onerous_contract_shows_its_whole_loss_at_once():
    result = cost_to_cost(contract_price=900, costs_incurred=400, costs_to_complete=600)
    assert result["result_to_date"] == "-40.00"
    assert result["onerous_contract_provision"] == "60.00"
    assert result["expected_contract_result"] == "-100.00"


def test_billing_ahead_of_progress_is_a_contract_liability():
    result = cost_to_cost(
        contract_price=1000, costs_incurred=300, costs_to_complete=300, billed_to_date=650
    )
    assert (result["contract_asset"], result["contract_liability"]) == ("0.00", "150.00")


def test_materials_beyond_the_costs_incurred_are_refused():
    with pytest.raises(InvalidInput, match="costs_incurred"):
        cost_to_cost(
            contract_price=10, costs_incurred=1, costs_to_complete=1, uninstalled_materials=2
        )
