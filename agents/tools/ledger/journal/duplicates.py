"""Payments made twice: exactly, nearly, or with a slip of the digits.

Source: Nigrini, "Forensic Analytics", 2nd ed., chapters 11-12 (same-same-same and
same-same-different tests). A payee that often repeats an amount does not surprise by doing so.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from agents.tools.ledger.journal.context import Context, none_of, raise_to
from agents.tools.ledger.journal.names import edit_distance, surprise

# A second payment of an amount this many days later is a new period's, not a copy.
NEAR_DAYS = 45
# Two amounts within this share of each other, this many days apart at most, are similar.
SIMILAR_RATIO, SIMILAR_DAYS = 0.016, 10
# A line is compared with so many of the payee's next larger amounts: enough, and linear.
NEIGHBOURS = 12
# Lines of prior weight when a payee's own share of near amounts is estimated.
PRIOR_COPIES = 4.0
# The first of two equal lines is more likely the genuine one.
FIRST_SHARE = 0.6


def exact(context: Context) -> pd.Series:
    """Same payee, account, document, amount and day as an earlier line."""
    lines = context.lines
    keys = ["party", "account_code", "doc_no", "pence", "date"]
    again = lines.sort_values("order").duplicated(keys, keep="first")
    either = lines.duplicated(keys, keep=False)
    strength = none_of(lines)
    strength[either] = 8.0 * FIRST_SHARE
    strength[again.index[again]] = 8.0
    copies = again.groupby(lines["party"]).transform("sum").clip(lower=1)
    return (strength - np.log(copies.astype(float))).clip(lower=0.0)


def same_document(context: Context) -> pd.Series:
    """A payee's document number used again: on another day, or with the amount reversed."""
    lines = context.lines
    strength = none_of(lines)
    known = lines["doc_no"].str.len() > 3
    group = lines.groupby(["party", "doc_no"])
    days = group["date"].transform("nunique")
    twice = lines.duplicated(["party", "doc_no", "size"], keep=False)
    signs = lines.groupby(["party", "doc_no", "size"])["pence"].transform("nunique")
    strength[known & (days > 1)] = 5.0
    strength[known & twice & (signs > 1)] = 6.0
    strength[known & twice & (days > 1)] = 7.0
    # A payee whose documents were re-dated in bulk explains each of them.
    again = (strength > 0) & ~lines.duplicated(["party", "doc_no"])
    strength -= np.log(again.groupby(lines["party"]).transform("sum").clip(lower=1)).astype(float)
    strength = strength.clip(lower=0.0)
    # The first day's lines are the genuine ones as a rule; credits are never the first.
    first = (lines["date"] == group["date"].transform("min")) & (lines["pence"] >= 0)
    return strength.where(~first, strength * FIRST_SHARE)


def near(context: Context) -> pd.Series:
    """Same payee and amount within days under another document, where that is unusual."""
    lines = context.lines
    strength = none_of(lines)
    repeats = _repeat_rate(lines)
    several = lines.duplicated(["party", "pence"], keep=False) & (lines["pence"] != 0)
    frame = lines[several].sort_values(["party", "pence", "date", "order"])
    counts = frame.groupby(["party", "pence"])["order"].transform("size")
    for (a, _), (b, count) in pairwise(zip(frame.itertuples(), counts, strict=True)):
        if (a.party, a.pence) != (b.party, b.pence) or a.doc_no == b.doc_no:
            continue
        days = (b.date - a.date).days
        if days <= NEAR_DAYS:
            value = _near_strength(a, b, days, count, repeats)
            raise_to(strength, b.Index, value)
            raise_to(strength, a.Index, value * FIRST_SHARE)
    return strength


def _near_strength(
    a: Any, b: Any, days: int, count: int, repeats: dict[tuple[str, int], float]
) -> float:
    """Strength of ``b`` as a copy of ``a``, two rows of one payee and amount."""
    value = float(surprise(repeats[(a.party, _coarseness(a.size))]))
    value += math.log1p(b.size / 100) / 4  # large copies are rarer than small ones
    value += 1.5 if edit_distance(a.doc_no, b.doc_no, 2) <= 1 else 0.0
    value += 2.0 if a.vendor != b.vendor and a.entity != b.entity else 0.0
    value += 1.0 if a.vendor != b.vendor else 0.0
    value -= 0.0 if a.account_code == b.account_code else 1.5
    value -= 1.5 * math.log(count - 1)  # a series is a standing payment
    value -= 1.0 if days == 0 else 0.0
    return max(value, 0.0)


def similar(context: Context) -> pd.Series:
    """Nearly the same amount to a payee within days under another document, where that is rare.

    The chance of so near a pair is the payee's number of lines in those days, times the share of
    its lines (shrunk to the ledger's) that lie as near to the amount.
    """
    lines = context.lines
    strength = none_of(lines)
    everywhere = np.sort(lines["log_size"].to_numpy())
    day = (lines["date"] - lines["date"].min()).dt.days
    frame = lines[lines["size"] >= 10_000].assign(day=day).sort_values(["party", "log_size"])
    for _, group in frame.groupby("party", sort=False):
        if len(group) > 1:
            _mark_similar(strength, group, everywhere)
    return strength


def _mark_similar(strength: pd.Series, group: pd.DataFrame, everywhere: np.ndarray) -> None:
    size, day, order = (group[name].to_numpy() for name in ("log_size", "day", "order"))
    doc, pence = group["doc_no"].to_numpy(), group["pence"].to_numpy()
    days = np.sort(day)
    for low in range(len(group) - 1):
        for high in range(low + 1, min(low + 1 + NEIGHBOURS, len(group))):
            apart = size[high] - size[low]
            if apart > SIMILAR_RATIO:
                break
            gap = abs(day[high] - day[low])
            if gap > SIMILAR_DAYS or doc[high] == doc[low] or apart == 0:
                continue
            if pence[high] * pence[low] < 0:
                continue
            near = _between(size, size[low] - SIMILAR_RATIO, size[low] + SIMILAR_RATIO) - 2
            typical = _between(everywhere, size[low] - 0.1, size[low] + 0.1) / len(everywhere) / 5
            share = (near + PRIOR_COPIES * typical) / (len(size) - 2 + PRIOR_COPIES)
            around = _between(days, day[low] - SIMILAR_DAYS, day[low] + SIMILAR_DAYS) - 1
            value = float(surprise(1 - math.exp(-max(around, 1) * max(share, 1e-4))))
            value += float(size[high]) / 6  # large copies are rarer than small ones
            value -= 1.0 if gap == 0 else 0.0
            later = high if (day[high], order[high]) > (day[low], order[low]) else low
            raise_to(strength, group.index[later], value)
            raise_to(strength, group.index[low + high - later], value * FIRST_SHARE)


def _between(ordered: np.ndarray, low: float, high: float) -> int:
    """How many of the sorted numbers lie from ``low`` to ``high``."""
    return int(np.searchsorted(ordered, high, "right") - np.searchsorted(ordered, low, "left"))


def document_typo(context: Context) -> pd.Series:
    """A document number that differs from another one of the payee in a single digit.

    The last two digits are left out: numbers given in one sitting differ there.
    """
    lines = context.lines
    strength = none_of(lines)
    frame = lines.loc[lines["doc_no"].str.fullmatch(r"\d{6,15}"), ["party", "doc_no"]]
    if frame.empty:
        return strength
    frame = lines.loc[frame.index].sort_values(["date", "order"])
    documents = frame.groupby("party")["doc_no"].transform("nunique").to_numpy()
    rows = list(frame[["party", "doc_no", "log_size", "account_code", "date"]].itertuples())
    masked: dict[tuple[str, int, str, str], list[int]] = {}
    for place, row in enumerate(rows):
        for at in range(len(row.doc_no) - 2):
            key = (row.party, at, row.doc_no[:at], row.doc_no[at + 1 :])
            masked.setdefault(key, []).append(place)
    for places in masked.values():
        if len(places) > 1:
            value = 4.0 - math.log(max(documents[places[0]] / 10, 1.0))
            _mark_typos(strength, [rows[place] for place in places], value)
    return strength.clip(lower=0.0)


def _mark_typos(strength: pd.Series, rows: list[Any], value: float) -> None:
    """Score each row against the first document's: amount, account and days tell a slip."""
    first = [row for row in rows if row.doc_no == rows[0].doc_no]
    for row in rows:
        if row.doc_no == rows[0].doc_no:
            continue
        near = min(first, key=lambda other: abs(other.log_size - row.log_size))
        found = value + (2.0 if abs(near.log_size - row.log_size) <= SIMILAR_RATIO else 0.0)
        found += 0.5 if near.account_code == row.account_code else -1.0
        found += 1.0 if (row.date - near.date).days <= SIMILAR_DAYS else 0.0
        raise_to(strength, row.Index, found)
        raise_to(strength, near.Index, found * FIRST_SHARE)


def other_payee(context: Context) -> pd.Series:
    """A document number and amount that another payee has too."""
    lines = context.lines
    known = lines["doc_no"].str.len() > 3
    payees = lines.groupby(["doc_no", "size"])["party"].transform("nunique")
    value = 2.0 + lines["log_size"] / 6
    return value.where(known & (payees > 1), 0.0)


def _coarseness(pence: int) -> int:
    """0 for odd pence, 1 for whole pounds, 2 for round hundreds: how easily amounts coincide."""
    return 2 if pence % 10_000 == 0 else 1 if pence % 100 == 0 else 0


def _repeat_rate(lines: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Share of a payee's lines that repeat an amount, one copy forgiven, shrunk to the ledger's."""
    coarse = lines["size"].map(_coarseness)
    group = lines.groupby(["party", "pence"])["order"].transform("size")
    frame = pd.DataFrame({"party": lines["party"], "coarse": coarse, "repeat": group > 1})
    overall = frame.groupby("coarse")["repeat"].mean().to_dict()
    table = frame.groupby(["party", "coarse"])["repeat"].agg(["sum", "size"])
    return {
        key: (max(repeated - 2, 0) + 2 * min(overall[key[1]], 0.5)) / (max(lines_ - 2, 0) + 2)
        for key, repeated, lines_ in zip(table.index, table["sum"], table["size"], strict=True)
    }


def transposed(context: Context) -> pd.Series:
    """An amount that is another one of the payee with two neighbouring digits swapped."""
    lines = context.lines
    strength = none_of(lines)
    for _, group in lines[lines["size"] >= 10_000].groupby("party", sort=False):
        if len(group) < 2:
            continue
        by_size: dict[int, list[int]] = {}
        for index, size in zip(group.index, group["size"], strict=True):
            by_size.setdefault(int(size), []).append(index)
        for size in by_size:
            for other in _swaps(size):
                if other > size or other not in by_size:
                    continue
                chance = _chance(size, len(by_size))
                _mark_swap(lines, strength, by_size[size] + by_size[other], chance)
    return strength


def _swaps(size: int) -> set[int]:
    digits = str(size)
    swapped = {
        int(digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :])
        for i in range(len(digits) - 1)
        if digits[i] != digits[i + 1] and not (i == 0 and digits[1] == "0")
    }
    return swapped - {size}


def _chance(size: int, amounts: int) -> float:
    """Probability that one of ``amounts`` others of this length is a swap of ``size``."""
    significant = len(str(size).rstrip("0"))
    expected = amounts * max(significant - 1, 1) / 9 / 10 ** (significant - 1)
    return float(1 - np.exp(-min(expected, 5.0)))


def _mark_swap(lines: pd.DataFrame, strength: pd.Series, rows: list[int], chance: float) -> None:
    group = lines.loc[rows].sort_values(["date", "order"])
    days = (group["date"].iloc[-1] - group["date"].iloc[0]).days
    value = float(surprise(chance)) - np.log(len(rows) - 1) + (1.0 if days <= NEAR_DAYS else 0.0)
    accounts = group["account_code"].nunique()
    value -= 1.0 if accounts > 1 else 0.0
    for position, index in enumerate(group.index):
        share = FIRST_SHARE if position == 0 else 1.0
        raise_to(strength, index, max(value, 0.0) * share)
