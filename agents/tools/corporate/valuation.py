"""Business valuation: cost of capital, discounted cash flow, trading multiples."""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from agents.tools.accounting.amounts import (
    ZERO,
    Money,
    Positive,
    Rate,
    Ratio,
    money,
    number,
    percent,
    present_value,
)
from agents.tools.corporate import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# The sensitivity of a valuation is shown for one point of WACC and half a point of growth.
WACC_STEP = Decimal("0.01")
GROWTH_STEP = Decimal("0.005")

CashFlows = Annotated[list[Money], Field(min_length=1, max_length=50)]
Multiples = Annotated[list[Positive], Field(min_length=3, max_length=100)]


@tool("corporate.cost_of_capital", light=True)
def cost_of_capital(
    risk_free_rate: Rate,
    equity_risk_premium: Rate,
    asset_beta: Annotated[Decimal, Field(ge=0, le=5)],
    debt_share: Annotated[Decimal, Field(ge=0, lt=1, description="Debt / (debt + equity)")],
    cost_of_debt: Rate,
    tax_rate: Ratio,
    size_premium: Rate = ZERO,
) -> outputs.CostOfCapital:
    """Work out the weighted average cost of capital from an asset beta.

    Beta relevered by Hamada (1972): asset beta x (1 + (1 - tax) x debt/equity); cost of equity
    by CAPM plus a size premium; WACC after tax (Koller, Goedhart and Wessels, Valuation).
    """
    leverage = debt_share / (1 - debt_share)
    beta = asset_beta * (1 + (1 - tax_rate) * leverage)
    equity = risk_free_rate + beta * equity_risk_premium + size_premium
    debt = cost_of_debt * (1 - tax_rate)
    wacc = equity * (1 - debt_share) + debt * debt_share
    return {
        "equity_beta": number(beta, 4),
        "cost_of_equity_percent": number(100 * equity, 2),
        "cost_of_debt_after_tax_percent": number(100 * debt, 2),
        "wacc_percent": number(100 * wacc, 2),
        "wacc": number(wacc, 6),
    }


@tool("corporate.discounted_cash_flow", light=True)
def discounted_cash_flow(
    free_cash_flows: CashFlows,
    wacc: Rate,
    terminal_growth: Rate,
    net_debt: Money = ZERO,
    shares_outstanding: Positive | None = None,
    mid_year: bool = False,
) -> outputs.DiscountedCashFlow:
    """Value a business by discounting free cash flows to the firm, with a growing terminal value.

    Gordon growth on the last year's flow; the mid-year convention moves every flow half a year
    forward (Koller, Goedhart and Wessels, Valuation). Growth stays below the WACC.
    """
    flows = list(free_cash_flows)
    explicit, terminal = _values(flows, wacc, terminal_growth, mid_year)
    enterprise = explicit + terminal
    equity = enterprise - net_debt
    low = sum(_values(flows, wacc + WACC_STEP, terminal_growth - GROWTH_STEP, mid_year), ZERO)
    high: Decimal | None = None
    if wacc - WACC_STEP > terminal_growth + GROWTH_STEP:
        high = sum(_values(flows, wacc - WACC_STEP, terminal_growth + GROWTH_STEP, mid_year), ZERO)
    share = percent(terminal, enterprise)
    result: dict[str, Any] = {
        "value_of_explicit_period": money(explicit),
        "value_of_terminal_period": money(terminal),
        "enterprise_value": money(enterprise),
        "equity_value": money(equity),
        "terminal_share_percent": share,
        "enterprise_value_low": money(low),
        "enterprise_value_high": "not defined" if high is None else money(high),
        "valuation_verdict": "negative equity value"
        if equity < 0
        else "rests mostly on the terminal value"
        if share is not None and share > 75
        else "balanced between plan and terminal value",
    }
    if shares_outstanding is not None:
        result["value_per_share"] = number(equity / shares_outstanding, 4)
    return cast(outputs.DiscountedCashFlow, result)


def _values(
    flows: list[Decimal], wacc: Decimal, growth: Decimal, mid_year: bool
) -> tuple[Decimal, Decimal]:
    """Value today of the explicit flows and of everything after them."""
    if growth >= wacc:
        raise InvalidInput("terminal_growth", str(growth), f"below the WACC ({wacc})")
    first = Decimal("0.5") if mid_year else Decimal(1)
    at_end = flows[-1] * (1 + growth) / (wacc - growth)
    last = first + len(flows) - 1
    return present_value(flows, wacc, first), at_end / (1 + wacc) ** last


@tool("corporate.multiples_valuation", light=True)
def multiples_valuation(
    peer_multiples: Multiples,
    metric_amount: Positive,
    peer_net_debt: Money = ZERO,
    marketability_discount: Ratio = ZERO,
    multiple_kind: Literal["enterprise", "equity"] = "enterprise",
) -> outputs.MultiplesValuation:
    """Value a business by the median and quartiles of its peers' multiples.

    ``metric_amount`` is the company's EBITDA, sales or earnings; ``peer_net_debt`` its own net
    debt, taken off an enterprise multiple. A discount for lack of marketability is taken from
    the equity (IVS, market approach; quartiles by linear interpolation).
    """
    ordered = sorted(peer_multiples)
    debt = peer_net_debt if multiple_kind == "enterprise" else ZERO
    equities = {
        name: (multiple * metric_amount - debt) * (1 - marketability_discount)
        for name, multiple in (
            ("low", _quantile(ordered, Decimal("0.25"))),
            ("median", median(ordered)),
            ("high", _quantile(ordered, Decimal("0.75"))),
        )
    }
    return {
        "median_multiple": number(median(ordered), 2),
        "multiples_enterprise_value": money(median(ordered) * metric_amount),
        "multiples_equity_low": money(equities["low"]),
        "multiples_equity_median": money(equities["median"]),
        "multiples_equity_high": money(equities["high"]),
        "spread_percent": percent(equities["high"] - equities["low"], equities["median"]),
    }


def _quantile(ordered: list[Decimal], share: Decimal) -> Decimal:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
