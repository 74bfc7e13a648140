"""Financial statements from a trial balance, with tie-out, ratios and earnings per share."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import (
    ZERO,
    Money,
    NonNegative,
    Positive,
    Row,
    money,
    number,
    percent,
    quotient,
)
from agents.tools.registry import tool
from config.errors import InvalidInput

Section = Literal[
    "revenue",
    "cost_of_sales",
    "operating_expense",
    "other_income",
    "finance_cost",
    "income_tax",
    "non_current_asset",
    "inventory",
    "current_asset",
    "non_current_liability",
    "current_liability",
    "equity",
]


class TrialBalanceLine(Row):
    """One account with its balance: debit positive, credit negative."""

    account: str
    section: Section
    balance: Money


class ShareChange(Row):
    """Shares issued (or bought back, negative) and the months they count in the year."""

    shares: Money
    months: Annotated[Decimal, Field(ge=0, le=12)]


TrialBalance = Annotated[list[TrialBalanceLine], Field(min_length=1, max_length=5000)]
ShareChanges = Annotated[list[ShareChange], Field(max_length=100)]


@tool("accounting.financial_statements", light=True)
def financial_statements(trial_balance: TrialBalance) -> outputs.FinancialStatements:
    """Draw up profit or loss and financial position from a trial balance, and tie them out.

    IAS 1.54, 82 and 99 (by function). ``out_of_balance_by`` is the sum of all balances: zero
    when debits equal credits, and then assets equal equity and liabilities.
    """
    sums: dict[str, Decimal] = {}
    for line in trial_balance:
        sums[line.section] = sums.get(line.section, ZERO) + line.balance
    total = {name: sums.get(name, ZERO) for name in get_args(Section)}
    revenue = -total["revenue"]
    gross = revenue - total["cost_of_sales"]
    operating = gross - total["operating_expense"] - total["other_income"]
    before_tax = operating - total["finance_cost"]
    profit = before_tax - total["income_tax"]
    current_assets = total["current_asset"] + total["inventory"]
    assets = current_assets + total["non_current_asset"]
    liabilities = -(total["current_liability"] + total["non_current_liability"])
    equity = -total["equity"] + profit
    gap = sum(total.values(), ZERO)
    return cast(
        outputs.FinancialStatements,
        {
            "gross_profit": money(gross),
            "operating_profit": money(operating),
            "profit_before_tax": money(before_tax),
            "profit_for_the_year": money(profit),
            "total_assets": money(assets),
            "total_liabilities": money(liabilities),
            "total_equity": money(equity),
            **_ratios(total, revenue, gross, operating, profit, equity),
            "out_of_balance_by": money(gap),
            "tie_out": "statements tie out"
            if gap == 0
            else "statements do not tie out; the trial balance is wrong",
        },
    )


def _ratios(
    total: dict[str, Decimal],
    revenue: Decimal,
    gross: Decimal,
    operating: Decimal,
    profit: Decimal,
    equity: Decimal,
) -> dict[str, Any]:
    current_liabilities = -total["current_liability"]
    long_term = -total["non_current_liability"]
    quick_assets = total["current_asset"]
    # A return on, or a gearing of, capital that has been lost would read as a good one.
    solvent = equity > 0
    return {
        "gross_margin_percent": percent(gross, revenue),
        "operating_margin_percent": percent(operating, revenue),
        "current_ratio": quotient(quick_assets + total["inventory"], current_liabilities),
        "quick_ratio": quotient(quick_assets, current_liabilities),
        "interest_cover": quotient(operating, total["finance_cost"]),
        "return_on_capital_percent": percent(operating, equity + long_term) if solvent else None,
        "return_on_equity_percent": percent(profit, equity) if solvent else None,
        "gearing_percent": percent(long_term, equity + long_term) if solvent else None,
    }


@tool("accounting.earnings_per_share", light=True)
def earnings_per_share(
    profit_for_the_year: Money,
    opening_shares: Positive,
    share_changes: ShareChanges = [],  # noqa: B006  read only
    preference_dividend: NonNegative = ZERO,
    options_outstanding: NonNegative = ZERO,
    exercise_price: NonNegative = ZERO,
    average_market_price: Positive | None = None,
) -> outputs.EarningsPerShare:
    """Work out basic and diluted earnings per share.

    IAS 33.10-20 (weighted by months) and 45-46 (treasury method: only the shares issued for no
    consideration dilute). Options out of the money, or a loss, dilute nothing (41, 47).
    """
    shares = opening_shares + sum((row.shares * row.months / 12 for row in share_changes), ZERO)
    if shares <= 0:
        raise InvalidInput("share_changes", str(shares), "a weighted number above zero")
    if options_outstanding > 0 and average_market_price is None:
        raise InvalidInput("average_market_price", None, "needed with options_outstanding")
    earnings = profit_for_the_year - preference_dividend
    free_shares = ZERO
    if average_market_price is not None and earnings > 0:
        free_shares = options_outstanding * max(1 - exercise_price / average_market_price, ZERO)
    basic, diluted = earnings / shares, earnings / (shares + free_shares)
    return {
        "weighted_average_shares": number(shares, 0),
        "basic_earnings_per_share": number(basic, 4),
        "diluted_earnings_per_share": number(diluted, 4),
        "dilution_verdict": "options dilute" if free_shares > 0 else "no dilution",
    }
