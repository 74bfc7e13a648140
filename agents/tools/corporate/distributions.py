"""Dividends: what may lawfully be distributed, and whether the company should."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field

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
from agents.tools.corporate import outputs
from agents.tools.registry import tool


class Reserve(Row):
    """One reserve of the relevant accounts; a loss is negative."""

    name: str
    amount: Money
    realised: bool


Reserves = Annotated[list[Reserve], Field(min_length=1, max_length=100)]


@tool("corporate.distributable_reserves", light=True)
def distributable_reserves(
    reserves: Reserves,
    share_capital: NonNegative,
    proposed_dividend: NonNegative,
    legal_form: Literal["private", "public"] = "private",
    undistributable_reserves: NonNegative = ZERO,
    interim_dividends_paid: NonNegative = ZERO,
) -> outputs.DistributableReserves:
    """Work out distributable profits and whether a proposed dividend is lawful.

    Companies Act 2006 s. 830: accumulated realised profits less accumulated realised losses;
    s. 831: a public company's net assets may not fall below share capital and undistributable
    reserves, so net unrealised losses bite; s. 836-838: relevant accounts; s. 847: an unlawful
    dividend is repayable. ICAEW TECH 02/17BL. Reserves exclude share capital and share premium;
    ``undistributable_reserves`` are share premium and capital redemption reserve.
    """
    realised = sum((row.amount for row in reserves if row.realised), ZERO)
    unrealised = sum((row.amount for row in reserves if not row.realised), ZERO)
    available = realised - interim_dividends_paid
    cap = available + min(unrealised, ZERO) if legal_form == "public" else available
    limit = max(cap, ZERO)
    net_assets = (
        share_capital + undistributable_reserves + realised + unrealised - interim_dividends_paid
    )
    return {
        "realised_profits": money(realised),
        "unrealised_profits": money(unrealised),
        "distributable_profits": money(limit),
        "net_assets_after_dividend": money(net_assets - proposed_dividend),
        "shortfall": money(max(proposed_dividend - limit, ZERO)),
        "reserves_left": money(max(limit - proposed_dividend, ZERO)),
        "dividend_verdict": "lawful within distributable profits"
        if proposed_dividend <= limit
        else "unlawful, exceeds distributable profits",
    }


@tool("corporate.dividend_cover", light=True)
def dividend_cover(
    proposed_dividend: Positive,
    earnings: Money,
    free_cash_flow: Money,
    ordinary_shares: Positive,
    cash_after_commitments: Money,
    share_price: Positive | None = None,
) -> outputs.DividendCover:
    """Say whether a dividend is covered by earnings, by free cash flow and by cash at hand.

    Cover, payout and yield as analysts define them (CFA Institute, Equity Asset Valuation);
    directors also weigh solvency after payment (Companies Act 2006 s. 172; BTI v Sequana, 2022).
    """
    per_share = proposed_dividend / ordinary_shares
    left = cash_after_commitments - proposed_dividend
    covered = earnings >= proposed_dividend and free_cash_flow >= proposed_dividend
    result: dict[str, Any] = {
        "dividend_per_share": number(per_share, 4),
        "earnings_cover": quotient(earnings, proposed_dividend),
        "cash_flow_cover": quotient(free_cash_flow, proposed_dividend),
        "payout_percent": percent(proposed_dividend, earnings) if earnings > 0 else None,
        "cash_left_after_dividend": money(left),
        "cover_verdict": "cash does not allow it"
        if left < 0
        else "covered by earnings and cash flow"
        if covered
        else "paid out of reserves, not out of this year",
    }
    if share_price is not None:
        result["dividend_yield_percent"] = percent(per_share, share_price)
    return cast(outputs.DividendCover, result)
