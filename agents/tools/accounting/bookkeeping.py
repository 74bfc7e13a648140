"""Is a batch of postings ready to post: does each voucher balance, is each line coded right."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import ZERO, NonNegative, Row, cents, money
from agents.tools.registry import tool
from config.errors import InvalidInput


class Account(Row):
    """One account of the chart. ``blocked`` ones take no postings."""

    account: str
    title: str
    kind: Literal["asset", "liability", "equity", "income", "expense"]
    blocked: bool = False


class Posting(Row):
    """One line of a voucher: an account and an amount on one side."""

    voucher: str
    account: str
    debit: NonNegative = ZERO
    credit: NonNegative = ZERO
    text: str = ""


Postings = Annotated[list[Posting], Field(min_length=1, max_length=5000)]
Chart = Annotated[list[Account], Field(min_length=1, max_length=5000)]


@tool("accounting.check_postings", light=True)
def check_postings(postings: Postings, chart_of_accounts: Chart) -> outputs.CheckPostings:
    """Check that each voucher balances and each line is coded to an open account of the chart.

    Names the likely cause of a difference (one-sided line, wrong side, transposed digits) and
    gives the effect of the batch on profit and on assets. Double entry; the divisible-by-nine
    and half-the-difference tests are the usual ones for trial balance differences.
    """
    chart = {row.account: row for row in chart_of_accounts}
    if len(chart) != len(chart_of_accounts):
        raise InvalidInput("chart_of_accounts", len(chart_of_accounts), "an account stands once")
    unbalanced = [
        {"voucher": voucher, "difference": money(gap), "likely_cause": _cause(gap, lines)}
        for voucher, lines in _by_voucher(postings)
        if (gap := sum((line.debit - line.credit for line in lines), ZERO)) != 0
    ]
    faults = [
        {"voucher": line.voucher, "account": line.account, "fault": fault}
        for line in postings
        if (fault := _coding_fault(line, chart))
    ]
    debit = sum((line.debit for line in postings), ZERO)
    credit = sum((line.credit for line in postings), ZERO)
    ready = not unbalanced and not faults
    return {
        "total_debits": money(debit),
        "total_credits": money(credit),
        "out_of_balance_by": money(debit - credit),
        "effect_on_profit": money(-_net(postings, chart, {"income", "expense"})),
        "effect_on_assets": money(_net(postings, chart, {"asset"})),
        "unbalanced_vouchers": unbalanced,
        "coding_faults": faults,
        "conclusion": "ready to post"
        if ready
        else f"do not post: {len(unbalanced)} unbalanced voucher(s), {len(faults)} coding fault(s)",
    }


def _by_voucher(postings: list[Posting]) -> list[tuple[str, list[Posting]]]:
    ordered = sorted(postings, key=lambda line: line.voucher)
    return [(key, list(lines)) for key, lines in groupby(ordered, key=lambda p: p.voucher)]


def _cause(gap: Decimal, lines: list[Posting]) -> str:
    size = abs(gap)
    heavier = [line.debit if gap > 0 else line.credit for line in lines]
    if size in heavier:
        return "a line of this amount has no counter entry"
    if size / 2 in heavier:
        return "a line of half this amount is on the wrong side"
    if (cents(size) * 100) % 9 == 0:
        return "divisible by nine, digits may be transposed"
    return "the two sides differ in amount"


def _coding_fault(line: Posting, chart: dict[str, Account]) -> str | None:
    if line.account not in chart:
        return "account is not in the chart"
    if chart[line.account].blocked:
        return "account is blocked"
    if (line.debit > 0) == (line.credit > 0):
        return "needs an amount on exactly one side"
    if chart[line.account].kind == "income" and line.debit > 0:
        return "debit on an income account; confirm it is a correction"
    return None


def _net(postings: list[Posting], chart: dict[str, Account], kinds: set[str]) -> Decimal:
    """Debits less credits on accounts of these kinds; unknown accounts count nowhere."""
    return sum(
        (
            line.debit - line.credit
            for line in postings
            if line.account in chart and chart[line.account].kind in kinds
        ),
        ZERO,
    )
