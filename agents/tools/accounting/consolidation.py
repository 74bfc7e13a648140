"""Group accounts: goodwill (IFRS 3), intragroup eliminations (IFRS 10), translation (IAS 21)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import ZERO, Money, NonNegative, Positive, Ratio, money
from agents.tools.registry import tool
from config.errors import InvalidInput

Ownership = Annotated[Decimal, Field(gt=0, le=1, description="The group's share, 0 to 1")]


@tool("accounting.goodwill", light=True)
def goodwill(
    consideration: NonNegative,
    ownership_ratio: Ownership,
    net_assets_fair_value: Money,
    nci_method: Literal["proportionate", "fair_value"] = "proportionate",
    nci_fair_value: NonNegative | None = None,
    earlier_interest_fair_value: NonNegative = ZERO,
    earlier_interest_carrying: NonNegative = ZERO,
    acquisition_costs: NonNegative = ZERO,
) -> outputs.Goodwill:
    """Measure goodwill or a bargain purchase gain, and the non-controlling interest.

    IFRS 3.32: consideration + non-controlling interest + earlier interest at fair value, less
    identifiable net assets; 19 for the two measures of the interest; 34-36 bargain purchase;
    42 remeasurement in a step acquisition; 53 acquisition costs are an expense.
    """
    minority = (1 - ownership_ratio) * net_assets_fair_value
    if nci_method == "fair_value":
        if nci_fair_value is None:
            raise InvalidInput("nci_fair_value", None, "needed for the fair value method")
        minority = nci_fair_value
    excess = consideration + minority + earlier_interest_fair_value - net_assets_fair_value
    step_gain = earlier_interest_fair_value - earlier_interest_carrying
    return {
        "goodwill": money(max(excess, ZERO)),
        "bargain_purchase_gain": money(max(-excess, ZERO)),
        "non_controlling_interest": money(minority),
        "gain_on_earlier_interest": money(step_gain),
        "profit_effect_at_acquisition": money(max(-excess, ZERO) + step_gain - acquisition_costs),
        "goodwill_verdict": "recognise goodwill"
        if excess > 0
        else "bargain purchase, reassess first"
        if excess < 0
        else "no goodwill",
    }


@tool("accounting.eliminate_intragroup", light=True)
def eliminate_intragroup(
    intragroup_sales: NonNegative,
    cost_to_seller: NonNegative,
    unsold_ratio: Ratio,
    seller: Literal["parent", "subsidiary"],
    ownership_ratio: Ownership,
    tax_rate: Ratio = ZERO,
    intragroup_receivable: NonNegative = ZERO,
    intragroup_payable: NonNegative = ZERO,
) -> outputs.EliminateIntragroup:
    """Eliminate intragroup sales, unrealised profit in stock, and balances.

    IFRS 10.B86(c): in full, with deferred tax on the profit (IAS 12); an upstream sale shares
    the elimination with the non-controlling interest (B94).
    """
    unrealised = (intragroup_sales - cost_to_seller) * unsold_ratio
    after_tax = unrealised * (1 - tax_rate)
    minority = after_tax * (1 - ownership_ratio) if seller == "subsidiary" else ZERO
    gap = intragroup_receivable - intragroup_payable
    return {
        "sales_eliminated": money(intragroup_sales),
        "cost_of_sales_eliminated": money(intragroup_sales - unrealised),
        "unrealised_profit": money(unrealised),
        "deferred_tax_asset": money(unrealised * tax_rate),
        "reduction_for_owners": money(after_tax - minority),
        "reduction_for_minority": money(minority),
        "balance_eliminated": money(min(intragroup_receivable, intragroup_payable)),
        "balance_difference": money(gap),
        "elimination_verdict": "intragroup balances agree"
        if gap == 0
        else "intragroup balances differ, find cash or goods in transit",
    }


@tool("accounting.translate_subsidiary", light=True)
def translate_subsidiary(
    opening_net_assets: Money,
    local_profit: Money,
    opening_rate: Positive,
    average_rate: Positive,
    closing_rate: Positive,
    ownership_ratio: Ownership,
    local_dividend: NonNegative = ZERO,
    dividend_rate: Positive | None = None,
) -> outputs.TranslateSubsidiary:
    """Translate a foreign subsidiary and give the exchange difference of the year.

    IAS 21.39-41: net assets at the closing rate, profit at the average rate, the difference in
    other comprehensive income, shared with the non-controlling interest (41). Rates are
    presentation currency for one unit of local currency.
    """
    paid = local_dividend * (dividend_rate or average_rate)
    closing_local = opening_net_assets + local_profit - local_dividend
    closing = closing_local * closing_rate
    expected = opening_net_assets * opening_rate + local_profit * average_rate - paid
    difference = closing - expected
    return {
        "closing_net_assets_local": money(closing_local),
        "closing_net_assets_translated": money(closing),
        "profit_translated": money(local_profit * average_rate),
        "translation_difference": money(difference),
        "difference_to_owners": money(difference * ownership_ratio),
        "difference_to_minority": money(difference * (1 - ownership_ratio)),
        "translation_verdict": "translation gain in other comprehensive income"
        if difference > 0
        else "translation loss in other comprehensive income",
    }
