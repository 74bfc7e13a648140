"""Payables: three-way match of order, receipt and invoice; the worth of an early payment."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    NonNegative,
    Rate,
    Ratio,
    Row,
    cents,
    money,
    number,
)
from agents.tools.registry import tool
from config.errors import InvalidInput

DAYS_A_YEAR = 365


class Priced(Row):
    """A quantity of one item at one price, as ordered or as invoiced."""

    item: str
    quantity: NonNegative
    unit_price: NonNegative


class Received(Row):
    """A quantity of one item, as booked in by the warehouse."""

    item: str
    quantity: NonNegative


PricedLines = Annotated[list[Priced], Field(min_length=1, max_length=1000)]
ReceivedLines = Annotated[list[Received], Field(max_length=1000)]


@tool("accounting.three_way_match", light=True)
def three_way_match(
    order_lines: PricedLines,
    receipt_lines: ReceivedLines,
    invoice_lines: PricedLines,
    price_tolerance_ratio: Ratio = ZERO,
    quantity_tolerance_ratio: Ratio = ZERO,
) -> outputs.ThreeWayMatch:
    """Match invoice lines to order and receipt; give what may be paid, held, and accrued.

    An item within tolerance is paid as invoiced; beyond it, at the ordered price and for the
    received quantity. What was received and not invoiced is the accrual for goods received
    (IAS 37.11). Control: COSO purchase-to-pay, matching before payment.
    """
    ordered = _once("order_lines", order_lines)
    received: dict[str, Decimal] = {}
    for receipt in receipt_lines:
        received[receipt.item] = received.get(receipt.item, ZERO) + receipt.quantity
    rows, invoiced_total, payable_total = [], ZERO, ZERO
    for line in _once("invoice_lines", invoice_lines).values():
        verdict, payable = _judge(
            line,
            ordered.get(line.item),
            received.get(line.item, ZERO),
            1 + price_tolerance_ratio,
            1 + quantity_tolerance_ratio,
        )
        invoiced = cents(line.quantity * line.unit_price)
        rows.append({"item": line.item, "verdict": verdict, "held": money(invoiced - payable)})
        invoiced_total += invoiced
        payable_total += payable
    held = sum(1 for row in rows if row["verdict"] != "matched")
    return {
        "invoiced_total": money(invoiced_total),
        "amount_payable": money(payable_total),
        "amount_held": money(invoiced_total - payable_total),
        "goods_received_not_invoiced": money(_accrual(ordered, received, invoice_lines)),
        "lines": rows,
        "conclusion": f"hold {held} of {len(rows)} line(s)" if held else "all lines matched, pay",
    }


def _once(field: str, lines: list[Priced]) -> dict[str, Priced]:
    found = {line.item: line for line in lines}
    if len(found) != len(lines):
        raise InvalidInput(field, len(lines), "one line for each item")
    return found


def _judge(
    line: Priced,
    order: Priced | None,
    received: Decimal,
    price_factor: Decimal,
    quantity_factor: Decimal,
) -> tuple[str, Decimal]:
    """What is wrong with an invoice line, and what of it may be paid."""
    if order is None:
        return "not ordered", ZERO
    faults = []
    quantity, price = line.quantity, line.unit_price
    if quantity > received * quantity_factor:
        faults.append("billed more than received" if received else "nothing received")
        quantity = received
    if quantity > order.quantity * quantity_factor:
        faults.append("more than ordered")
        quantity = order.quantity
    if price > order.unit_price * price_factor:
        faults.append("price above order")
        price = order.unit_price
    return ", ".join(faults) or "matched", cents(quantity * price)


def _accrual(
    ordered: dict[str, Priced], received: dict[str, Decimal], invoices: list[Priced]
) -> Decimal:
    billed = {line.item: line.quantity for line in invoices}
    return sum(
        (
            max(quantity - billed.get(item, ZERO), ZERO) * ordered[item].unit_price
            for item, quantity in received.items()
            if item in ordered
        ),
        ZERO,
    )


@tool("accounting.early_payment_discount", light=True)
def early_payment_discount(
    amount_payable: NonNegative,
    discount_ratio: Annotated[Decimal, Field(gt=0, lt=1)],
    discount_days: Annotated[int, Field(ge=0, le=365)],
    net_days: Annotated[int, Field(ge=1, le=730)],
    borrowing_rate: Rate,
) -> outputs.EarlyPaymentDiscount:
    """Decide whether an early-payment discount is worth taking against the cost of borrowing.

    Cost of not taking d/(1-d) x 365/(net days - discount days), and the same compounded
    (Brealey, Myers and Allen, Principles of Corporate Finance, credit terms).
    """
    if net_days <= discount_days:
        raise InvalidInput("net_days", net_days, f"more than discount_days ({discount_days})")
    gain = discount_ratio / (1 - discount_ratio)
    periods = Decimal(DAYS_A_YEAR) / (net_days - discount_days)
    effective = (1 + gain) ** periods - 1
    saving = amount_payable * discount_ratio
    interest = (amount_payable - saving) * borrowing_rate / periods
    return {
        "discount_saving": money(saving),
        "interest_of_paying_early": money(interest),
        "net_benefit": money(saving - interest),
        "simple_annual_rate_percent": number(100 * gain * periods, 2),
        "effective_annual_rate_percent": number(100 * effective, 2),
        "discount_verdict": "take the discount" if saving > interest else "pay at the due date",
    }
