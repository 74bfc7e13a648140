"""Statement of cash flows by the indirect method (IAS 7), tied to the movement of cash."""

from __future__ import annotations

from decimal import Decimal

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    Money,
    NonNegative,
    Row,
    cents,
    money,
    percent,
)
from agents.tools.registry import tool


class WorkingBalances(Row):
    """Balances at one end of the year, as positive amounts; an overdraft is negative cash."""

    inventories: NonNegative = ZERO
    trade_receivables: NonNegative = ZERO
    trade_payables: NonNegative = ZERO
    provisions: NonNegative = ZERO
    cash: Money


class InvestingFlows(Row):
    """What was paid and received for long-lived assets."""

    capital_expenditure: NonNegative = ZERO
    disposal_proceeds: NonNegative = ZERO
    acquisitions_net_of_cash: NonNegative = ZERO
    interest_received: NonNegative = ZERO


class FinancingFlows(Row):
    """What lenders and owners put in and took out."""

    borrowings_raised: NonNegative = ZERO
    borrowings_repaid: NonNegative = ZERO
    lease_principal_paid: NonNegative = ZERO
    shares_issued: NonNegative = ZERO
    shares_bought_back: NonNegative = ZERO
    dividends_paid: NonNegative = ZERO


class NonCashItems(Row):
    """What is in profit before tax and is not cash, or not operating. A loss is negative gain."""

    depreciation_and_amortisation: NonNegative = ZERO
    impairment_losses: NonNegative = ZERO
    gain_on_disposal: Money = ZERO
    net_finance_cost: Money = ZERO


@tool("accounting.cash_flow_indirect", light=True)
def cash_flow_indirect(
    profit_before_tax: Money,
    opening_balances: WorkingBalances,
    closing_balances: WorkingBalances,
    non_cash_items: NonCashItems = NonCashItems(),  # noqa: B008  frozen
    interest_paid: NonNegative = ZERO,
    income_tax_paid: Money = ZERO,
    exchange_effect_on_cash: Money = ZERO,
    investing: InvestingFlows = InvestingFlows(),  # noqa: B008  frozen
    financing: FinancingFlows = FinancingFlows(),  # noqa: B008  frozen
) -> outputs.CashFlowIndirect:
    """Draw up the statement of cash flows from profit and the change of balances.

    IAS 7.18(b) and 20: profit before tax, undone for what is not cash or not operating, then
    working capital; interest and tax paid stay operating (31-35). The three totals must equal
    the change in cash (45); the difference is what the papers still miss.
    """
    adjusted = profit_before_tax + _undone(non_cash_items)
    working = _working_capital(opening_balances, closing_balances)
    generated = adjusted + working
    operating = generated - interest_paid - income_tax_paid
    invested, financed = _investing(investing), _financing(financing)
    change = operating + invested + financed + exchange_effect_on_cash
    gap = cents(closing_balances.cash - opening_balances.cash - change)
    return {
        "profit_before_working_capital": money(adjusted),
        "working_capital_change": money(working),
        "cash_generated_from_operations": money(generated),
        "net_cash_from_operating": money(operating),
        "net_cash_from_investing": money(invested),
        "net_cash_from_financing": money(financed),
        "net_change_in_cash": money(change),
        "free_cash_flow": money(operating - investing.capital_expenditure),
        "cash_conversion_percent": percent(generated, adjusted) if adjusted > 0 else None,
        "difference_to_cash_movement": money(gap),
        "cash_flow_verdict": ("does not agree" if gap else "agrees") + " with the cash movement",
    }


def _undone(items: NonCashItems) -> Decimal:
    return (
        items.depreciation_and_amortisation
        + items.impairment_losses
        - items.gain_on_disposal
        + items.net_finance_cost
    )


def _working_capital(first: WorkingBalances, last: WorkingBalances) -> Decimal:
    """What the change of working capital brought in; negative when it tied up cash."""
    return (
        (first.inventories - last.inventories)
        + (first.trade_receivables - last.trade_receivables)
        + (last.trade_payables - first.trade_payables)
        + (last.provisions - first.provisions)
    )


def _investing(flows: InvestingFlows) -> Decimal:
    return (
        flows.disposal_proceeds
        + flows.interest_received
        - flows.capital_expenditure
        - flows.acquisitions_net_of_cash
    )


def _financing(flows: FinancingFlows) -> Decimal:
    return (
        flows.borrowings_raised
        - flows.borrowings_repaid
        - flows.lease_principal_paid
        + flows.shares_issued
        - flows.shares_bought_back
        - flows.dividends_paid
    )
