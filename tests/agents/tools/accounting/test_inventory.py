"""Inventories: cost formulas agree with each other and with hand calculation; NRV by item."""

from decimal import Decimal

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput

MOVES = [
    {"kind": "receipt", "quantity": 100, "unit_cost": 10},
    {"kind": "receipt", "quantity": 100, "unit_cost": 12},
    {"kind": "issue", "quantity": 150},
    {"kind": "receipt", "quantity": 50, "unit_cost": 15},
    {"kind": "issue", "quantity": 60},
]


def cost(formula, moves=MOVES, **arguments):
    return get("accounting.inventory_cost").call(
        {"stock_movements": moves, "cost_formula": formula, **arguments}
    )


def value(item, **arguments):
    row = {"item": "x", "quantity": 10, "unit_cost": 5, "selling_price": 6}
    return get("accounting.net_realisable_value").call(
        {"stock_items": [{**row, **item}], **arguments}
    )


@pytest.mark.parametrize(
    ("formula", "sold", "left"),
    [("fifo", "2350.00", "600.00"), ("weighted_average", "2430.00", "520.00")],
)
def test_each_formula_costs_issues_and_stock(formula, sold, left):
    result = cost(formula)
    assert (result["cost_of_sales"], result["closing_inventory"]) == (sold, left)


@pytest.mark.parametrize("formula", ["fifo", "weighted_average"])
def test_what_is_sold_and_what_is_left_add_to_what_was_bought(formula):
    result = cost(formula)
    total = Decimal(result["cost_of_sales"]) + Decimal(result["closing_inventory"])
    assert total == 100 * 10 + 100 * 12 + 50 * 15


def test_an_issue_beyond_the_stock_names_the_movement_and_the_limit():
    with pytest.raises(InvalidInput, match=r"stock_movements\[2\].*100 on hand"):
        cost("fifo", [MOVES[0], {"kind": "issue", "quantity": 101}])


def test_last_in_first_out_is_refused():
    with pytest.raises(InvalidInput, match="cost_formula"):
        cost("lifo")


def test_a_receipt_without_cost_is_refused():
    with pytest.raises(InvalidInput, match="unit_cost"):
        cost("fifo", [{"kind": "receipt", "quantity": 1}])


@pytest.mark.parametrize(
    ("item", "write_down"),
    [
        ({}, "0.00"),
        ({"costs_to_sell": 2}, "10.00"),
        ({"costs_to_sell": 1, "costs_to_complete": 1}, "10.00"),
        ({"selling_price": 0, "costs_to_sell": 1}, "50.00"),  # value stops at nothing
        ({"selling_price": 4, "contract_price": 7, "contract_quantity": 6}, "4.00"),
        ({"contract_price": 3, "contract_quantity": 99}, "20.00"),
    ],
)
def test_an_item_is_carried_at_the_lower_of_cost_and_what_it_fetches(item, write_down):
    assert value(item)["write_down_needed"] == write_down


def test_a_reversal_is_limited_to_the_earlier_write_down():
    result = value({"selling_price": 100}, write_down_before=7)
    assert (result["reversal_of_the_period"], result["inventory_carried"]) == ("7.00", "50.00")
