"""Inventories: cost formulas and net realisable value (IAS 2)."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    NonNegative,
    Positive,
    Row,
    money,
    number,
    percent,
)
from agents.tools.registry import tool
from config.errors import InvalidInput


class Movement(Row):
    """A receipt with its unit cost or an issue, in the order of time."""

    kind: Literal["receipt", "issue"]
    quantity: Positive
    unit_cost: NonNegative | None = None


class StockItem(Row):
    """One item as counted, with what it fetches and what selling it still costs, a unit."""

    item: str
    quantity: NonNegative
    unit_cost: NonNegative
    selling_price: NonNegative
    costs_to_complete: NonNegative = ZERO
    costs_to_sell: NonNegative = ZERO
    contract_price: NonNegative | None = None
    contract_quantity: NonNegative = ZERO


Movements = Annotated[list[Movement], Field(min_length=1, max_length=5000)]
StockItems = Annotated[list[StockItem], Field(min_length=1, max_length=5000)]
Layers = deque[tuple[Decimal, Decimal]]


@tool("accounting.inventory_cost", light=True)
def inventory_cost(
    stock_movements: Movements,
    cost_formula: Literal["fifo", "weighted_average"],
    sales_revenue: NonNegative | None = None,
) -> outputs.InventoryCost:
    """Cost issues and closing stock by first-in first-out or moving weighted average.

    IAS 2.23-27; last-in first-out is not permitted. Movements are in the order of time, the
    opening stock as the first receipt. An issue beyond the stock on hand is refused.
    """
    layers: Layers = deque()
    issued = ZERO
    for index, move in enumerate(stock_movements, start=1):
        issued += _book(layers, move, f"stock_movements[{index}]")
        if cost_formula == "weighted_average":
            _blend(layers)
    quantity = sum((held for held, _ in layers), ZERO)
    value = sum((held * cost for held, cost in layers), ZERO)
    result: dict[str, Any] = {
        "closing_quantity": number(quantity, 3),
        "closing_inventory": money(value),
        "closing_unit_cost": None if quantity == 0 else number(value / quantity, 4),
        "cost_of_sales": money(issued),
        "layers": [
            {"quantity": number(held, 3), "unit_cost": number(cost, 4)} for held, cost in layers
        ],
    }
    if sales_revenue is not None:
        result["gross_profit"] = money(sales_revenue - issued)
        result["gross_margin_percent"] = percent(sales_revenue - issued, sales_revenue)
    return cast(outputs.InventoryCost, result)


def _book(layers: Layers, move: Movement, where: str) -> Decimal:
    """Change the layers by one movement; the cost of what it issues."""
    if move.kind == "receipt":
        if move.unit_cost is None:
            raise InvalidInput(where, None, "a receipt has a unit_cost")
        layers.append((move.quantity, move.unit_cost))
        return ZERO
    on_hand = sum((quantity for quantity, _ in layers), ZERO)
    if move.quantity > on_hand:
        raise InvalidInput(where, str(move.quantity), f"{on_hand} on hand at most")
    return _issue(layers, move.quantity)


def _issue(layers: Layers, quantity: Decimal) -> Decimal:
    """Take ``quantity`` from the oldest layers; its cost."""
    cost = ZERO
    while quantity > 0:
        held, unit_cost = layers.popleft()
        taken = min(held, quantity)
        cost += taken * unit_cost
        quantity -= taken
        if held > taken:
            layers.appendleft((held - taken, unit_cost))
    return cost


def _blend(layers: Layers) -> None:
    """One layer at the average cost of all."""
    quantity = sum((held for held, _ in layers), ZERO)
    if quantity > 0:
        value = sum((held * cost for held, cost in layers), ZERO)
        layers.clear()
        layers.append((quantity, value / quantity))


@tool("accounting.net_realisable_value", light=True)
def net_realisable_value(
    stock_items: StockItems, write_down_before: NonNegative = ZERO
) -> outputs.NetRealisableValue:
    """Compare cost with net realisable value item by item; give the write-down or reversal.

    IAS 2.9 and 28-33: estimated price less costs to complete and to sell, never netted across
    items (29). Quantities under a firm sales contract use the contract price (31); a reversal
    is limited to the earlier write-down (33).
    """
    rows, cost, carried = [], ZERO, ZERO
    for row in stock_items:
        if row.contract_quantity > 0 and row.contract_price is None:
            raise InvalidInput("stock_items", row.item, "contract_quantity with a contract_price")
        value = _carried(row)
        item_cost = row.quantity * row.unit_cost
        cost, carried = cost + item_cost, carried + value
        if value < item_cost:
            rows.append({"item": row.item, "write_down": money(item_cost - value)})
    needed = cost - carried
    change = needed - write_down_before
    return {
        "inventory_at_cost": money(cost),
        "inventory_carried": money(carried),
        "write_down_needed": money(needed),
        "items_written_down": rows,
        "charge_of_the_period": money(max(change, ZERO)),
        "reversal_of_the_period": money(max(-change, ZERO)),
        "conclusion": "write down to net realisable value"
        if change > 0
        else "reverse earlier write-down"
        if change < 0
        else "no change in write-down",
    }


def _carried(row: StockItem) -> Decimal:
    selling_costs = row.costs_to_complete + row.costs_to_sell
    firm = min(row.contract_quantity, row.quantity)
    open_value = max(min(row.unit_cost, row.selling_price - selling_costs), ZERO)
    firm_value = ZERO
    if row.contract_price is not None:
        firm_value = max(min(row.unit_cost, row.contract_price - selling_costs), ZERO)
    return firm * firm_value + (row.quantity - firm) * open_value
