"""Bank reconciliation: match the cash book to the statement and explain the difference."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import combinations
from typing import Annotated

from pydantic import Field

from agents.tools.accounting import outputs
from agents.tools.accounting.amounts import ZERO, Day, Money, Row, cents, money
from agents.tools.registry import tool

# A deposit slip rarely holds more; with 12 candidates that is at most 781 sums to try.
LARGEST_GROUP = 4
MOST_CANDIDATES = 12
# A cheque is stale after six months in UK banking practice.
STALE_DAYS = 182


class Entry(Row):
    """One movement; money in is positive, money out negative, on both sides."""

    posted_on: Day
    reference: str = ""
    amount: Money


Entries = Annotated[list[Entry], Field(max_length=2000)]
Test = Callable[[Entry, Entry], bool]


@tool("accounting.reconcile_bank", timeout_seconds=20)
def reconcile_bank(
    book_entries: Entries,
    statement_entries: Entries,
    book_balance: Money,
    statement_balance: Money,
    as_at: Day,
    date_window_days: Annotated[int, Field(ge=0, le=60)] = 7,
) -> outputs.ReconcileBank:
    """Reconcile the cash book to the bank statement and adjust both balances.

    Matches by reference and amount, then amount within the date window, then up to four book
    lines to one statement line; the same reference with another amount is a booking error.
    """
    books, lines = list(book_entries), list(statement_entries)
    exact = _pair(books, lines, lambda b, s: b.reference == s.reference != "" and same(b, s))
    near = _pair(books, lines, lambda b, s: same(b, s) and _close(b, s, date_window_days))
    grouped = _group(books, lines, date_window_days)
    errors = _pair(books, lines, lambda b, s: b.reference == s.reference != "")
    corrections = sum((s.amount - b.amount for b, s in errors), ZERO)
    in_transit = sum((b.amount for b in books if b.amount > 0), ZERO)
    outstanding = -sum((b.amount for b in books if b.amount < 0), ZERO)
    unbooked = sum((s.amount for s in lines), ZERO)
    adjusted_bank = statement_balance + in_transit - outstanding
    adjusted_book = book_balance + unbooked + corrections
    gap = cents(adjusted_bank - adjusted_book)
    return {
        "matched_lines": len(exact) + len(near) + grouped,
        "deposits_in_transit": money(in_transit),
        "outstanding_payments": money(outstanding),
        "unbooked_total": money(unbooked),
        "unbooked_items": [_shown(line) for line in lines],
        "booking_errors": [_error(b, s) for b, s in errors],
        "correction_total": money(corrections),
        "stale_items": [_shown(b) for b in books if (as_at - b.posted_on).days > STALE_DAYS],
        "adjusted_bank_balance": money(adjusted_bank),
        "adjusted_book_balance": money(adjusted_book),
        "unreconciled_difference": money(gap),
        "conclusion": "reconciled" if gap == 0 else "not reconciled, investigate the difference",
    }


def same(book: Entry, line: Entry) -> bool:
    """Both sides show the same amount."""
    return book.amount == line.amount


def _close(book: Entry, line: Entry, window_days: int) -> bool:
    return abs((line.posted_on - book.posted_on).days) <= window_days


def _pair(books: list[Entry], lines: list[Entry], fits: Test) -> list[tuple[Entry, Entry]]:
    """Take pairs that fit out of both lists, nearest dates first for each statement line."""
    pairs = []
    for line in sorted(lines, key=lambda row: row.posted_on):
        fitting = [book for book in books if fits(book, line)]
        if fitting:
            book = min(fitting, key=lambda row: abs((line.posted_on - row.posted_on).days))
            books.remove(book)
            lines.remove(line)
            pairs.append((book, line))
    return pairs


def _group(books: list[Entry], lines: list[Entry], window_days: int) -> int:
    """Take out statement lines that are the sum of several book lines; how many there were."""
    found = 0
    for line in list(lines):
        near = [book for book in books if _close(book, line, window_days)][:MOST_CANDIDATES]
        group = _summing_to(line.amount, near)
        if group:
            for book in group:
                books.remove(book)
            lines.remove(line)
            found += 1
    return found


def _summing_to(amount: Decimal, near: list[Entry]) -> tuple[Entry, ...] | None:
    for size in range(2, LARGEST_GROUP + 1):
        for group in combinations(near, size):
            if sum((book.amount for book in group), ZERO) == amount:
                return group
    return None


def _error(book: Entry, line: Entry) -> dict[str, str]:
    gap = line.amount - book.amount
    transposed = sorted(money(book.amount)) == sorted(money(line.amount))
    return {
        "reference": book.reference,
        "booked": money(book.amount),
        "correct_by": money(gap),
        "kind": "transposed digits" if transposed else "wrong amount",
    }


def _shown(entry: Entry) -> dict[str, str]:
    return {
        "posted_on": entry.posted_on.isoformat(),
        "reference": entry.reference or "none",
        "amount": money(entry.amount),
    }
