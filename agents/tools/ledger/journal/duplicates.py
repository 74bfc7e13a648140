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
    return strength


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
