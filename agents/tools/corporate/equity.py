"""Cap tables: a financing round with its dilution, and who gets what on an exit."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from agents.tools.accounting.amounts import (
    ZERO,
    NonNegative,
    Positive,
    Ratio,
    Row,
    cents,
    money,
    number,
    percent,
)
from agents.tools.corporate import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput


class Holder(Row):
    """Fully diluted shares of one holder; the pool of granted options is one of them."""

    holder: str
    shares: Positive


class Note(Row):
    """A convertible: the lower of its capped and its discounted price applies."""

    holder: str
    principal: Positive
    interest: NonNegative = ZERO
    discount: Ratio = ZERO
    valuation_cap: Positive | None = None


class ShareClass(Row):
    """A class with its preference. ``seniority`` 1 is paid first; 0 preference is ordinary."""

    name: str
    shares: Positive
    invested: NonNegative = ZERO
    preference_multiple: Annotated[Decimal, Field(ge=0, le=10)] = ZERO
    participating: bool = False
    seniority: Annotated[int, Field(ge=1, le=20)] = 1


Holders = Annotated[list[Holder], Field(min_length=1, max_length=500)]
Notes = Annotated[list[Note], Field(max_length=100)]
ShareClasses = Annotated[list[ShareClass], Field(min_length=1, max_length=12)]


@tool("corporate.funding_round", light=True)
def funding_round(
    cap_table: Holders,
    pre_money_valuation: Positive,
    new_investment: Positive,
    pool_after_round_ratio: Annotated[Decimal, Field(ge=0, lt=1)] = ZERO,
    convertible_notes: Notes = [],  # noqa: B006  read only
) -> outputs.FundingRound:
    """Work out price, new shares and dilution of a priced round with pool and convertibles.

    The pre-money includes the unallocated pool top-up and the converting notes (the usual
    pre-money method), so both dilute existing holders only. A note converts at the lower of
    its discount price and valuation cap / existing shares (Feld and Mendelson, Venture Deals).
    """
    existing = sum((row.shares for row in cap_table), ZERO)
    post = pre_money_valuation + new_investment
    pool_value = pool_after_round_ratio * post
    price = _price(existing, pre_money_valuation - pool_value, list(convertible_notes))
    note_shares = [(n.holder, _converted(n, price, existing)) for n in convertible_notes]
    converted = sum((held for _, held in note_shares), ZERO)
    pool, new = pool_value / price, new_investment / price
    total = existing + pool + new + converted
    return {
        "post_money_valuation": money(post),
        "price_per_share": number(price, 6),
        "new_shares_issued": number(new, 0),
        "pool_shares_created": number(pool, 0),
        "note_shares_issued": number(converted, 0),
        "total_shares_after": number(total, 0),
        "new_investor_percent": percent(new, total),
        "existing_diluted_by_percent": percent(total - existing, total),
        "cap_table_after": [
            {"holder": name, "after_percent": percent(held, total), "value": money(held * price)}
            for name, held in (*((row.holder, row.shares) for row in cap_table), *note_shares)
        ],
    }


def _note_price(note: Note, price: Decimal, existing: Decimal) -> Decimal:
    discounted = price * (1 - note.discount)
    return (
        discounted if note.valuation_cap is None else min(discounted, note.valuation_cap / existing)
    )


def _converted(note: Note, price: Decimal, existing: Decimal) -> Decimal:
    return (note.principal + note.interest) / _note_price(note, price, existing)


def _price(existing: Decimal, value: Decimal, notes: list[Note]) -> Decimal:
    """The price at which existing shares and converted notes are together worth ``value``.

    The worth rises with the price, so bisection between nothing and the price without notes
    finds it; 200 halvings are exact to the last of 28 digits.
    """
    if any(note.discount >= 1 for note in notes):
        raise InvalidInput("convertible_notes", "discount 1", "a discount below 1")
    low, high = ZERO, value / existing
    if high <= 0 or _worth(high / 10**6, existing, notes) > value:
        raise InvalidInput(
            "pre_money_valuation", str(cents(value)), "above what pool and notes take out of it"
        )
    if not notes:
        return high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _worth(middle, existing, notes) < value else (low, middle)
    return high


def _worth(price: Decimal, existing: Decimal, notes: list[Note]) -> Decimal:
    converted = sum((_converted(note, price, existing) for note in notes), ZERO)
    return price * (existing + converted)


@tool("corporate.exit_waterfall", light=True)
def exit_waterfall(
    exit_proceeds: NonNegative, share_classes: ShareClasses, exit_costs: NonNegative = ZERO
) -> outputs.ExitWaterfall:
    """Share exit proceeds over classes with liquidation preferences.

    Preferences in order of seniority, pro rata within one; the rest to ordinary, participating
    and converted classes by shares. A non-participating class converts where that pays more,
    decided class by class from the lowest preference a share (NVCA model charter).
    """
    net = max(exit_proceeds - exit_costs, ZERO)
    if not any(_is_common(row, frozenset()) for row in share_classes):
        raise InvalidInput("share_classes", len(share_classes), "one class without preference")
    converting = _converting(net, share_classes)
    paid = _payouts(net, share_classes, converting)
    preferences = sum((_preference(r) for r in share_classes if r.name not in converting), ZERO)
    return {
        "net_proceeds": money(net),
        "preferences_outstanding": money(preferences),
        "classes_converting": sorted(converting),
        "payouts": [
            {
                "share_class": row.name,
                "receives": money(paid[row.name]),
                "per_share": number(paid[row.name] / row.shares, 4),
                "percent_of_net": percent(paid[row.name], net),
            }
            for row in share_classes
        ],
        "waterfall_outcome": "preferences are not covered"
        if net < preferences
        else "preferences covered, rest shared",
    }


def _converting(net: Decimal, classes: list[ShareClass]) -> frozenset[str]:
    """The classes that are better off as ordinary shares."""
    converting: frozenset[str] = frozenset()
    choices = (row for row in classes if _preference(row) > 0 and not row.participating)
    for row in sorted(choices, key=lambda row: _preference(row) / row.shares):
        turned = converting | {row.name}
        if _payouts(net, classes, turned)[row.name] > _payouts(net, classes, converting)[row.name]:
            converting = turned
    return converting


def _preference(row: ShareClass) -> Decimal:
    return row.invested * row.preference_multiple


def _is_common(row: ShareClass, converting: frozenset[str]) -> bool:
    """Takes part in what the preferences leave."""
    return _preference(row) == 0 or row.participating or row.name in converting


def _payouts(
    net: Decimal, classes: list[ShareClass], converting: frozenset[str]
) -> dict[str, Decimal]:
    left = net
    paid = {row.name: ZERO for row in classes}
    preferred = [row for row in classes if _preference(row) > 0 and row.name not in converting]
    for rank in sorted({row.seniority for row in preferred}):
        peers = [row for row in preferred if row.seniority == rank]
        due = sum((_preference(row) for row in peers), ZERO)
        covered = min(left / due, Decimal(1))
        for row in peers:
            paid[row.name] += _preference(row) * covered
        left -= due * covered
    sharing = [row for row in classes if _is_common(row, converting)]
    shares = sum((row.shares for row in sharing), ZERO)
    for row in sharing:
        paid[row.name] += left * row.shares / shares
    return paid
