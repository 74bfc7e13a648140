"""One ranked list over all tests, weighed by how rare each finding is in this very ledger.

A test gives each line a strength. What counts is not the strength but its rarity: the share of
the ledger's lines that are at least as strong, as -ln in nats. A test that fires on thousands of
ordinary lines so earns nearly nothing. Rarities add like log-likelihoods (naive Bayes); tests of
one group see the same fact, so within a group the strongest counts whole and the rest in part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agents.tools.ledger.journal import benford, duplicates, sizes, timing, vendors
from agents.tools.ledger.journal.context import Context

# A small ledger has no base rates of its own: it is judged as part of this many lines.
LEAST_LINES = 2000
# A line outside of the audited year comes after one inside whose evidence is so much less.
OUTSIDE_NATS = 1.0
# Share of the further findings of one group that counts.
SAME_GROUP_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Kind:
    """One test: its name in reports, the fact it looks at, its function, and how it counts.

    Rarity under ``ordinary`` nats is everyday life for this test and counts nothing; what is
    above counts ``weight`` times. Both were measured by planting irregularities of each kind in
    a real ledger (docs/reference/ledger-tools.md): a test that natural lines set off as strongly
    as planted ones do has a high ``ordinary`` or a low ``weight``.
    """

    name: str
    group: str
    weight: float
    ordinary: float
    strength: Callable[[Context], pd.Series]
    title: str


KINDS = (
    Kind("duplicate_exact", "copy", 1.6, 2.5, duplicates.exact, "exact duplicates"),
    Kind("duplicate_document", "copy", 1.9, 3.0, duplicates.same_document, "document used again"),
    Kind("duplicate_near", "copy", 0.6, 3.5, duplicates.near, "fuzzy duplicates"),
    Kind("duplicate_similar", "copy", 0.45, 3.0, duplicates.similar, "similar amounts"),
    Kind("document_typo", "copy", 1.0, 2.5, duplicates.document_typo, "document number mistyped"),
    Kind("other_payee", "copy", 0.8, 3.0, duplicates.other_payee, "document of another payee"),
    Kind("transposed_digits", "copy", 1.1, 4.0, duplicates.transposed, "transposed digits"),
    Kind("decimal_slip", "amount", 0.4, 1.0, sizes.decimal_slip, "decimal point slipped"),
    Kind("round_amount", "round", 0.8, 3.5, sizes.round_amount, "round amounts"),
    Kind("outlier_amount", "amount", 1.0, 4.0, sizes.outlier, "amount out of range"),
    Kind("relative_size", "amount", 0.5, 1.0, sizes.relative_size, "far above the payee's next"),
    Kind("reversed_sign", "sign", 0.25, 1.5, sizes.reversed_sign, "reversed signs"),
    Kind("unpaid_credit", "sign", 1.0, 2.5, sizes.unpaid_credit, "credit without a payment"),
    Kind("split_payment", "limit", 1.5, 3.5, sizes.split, "split under a limit"),
    Kind("just_below_limit", "limit", 0.6, 3.5, sizes.below_limit, "just below a limit"),
    Kind("weekend", "day", 2.0, 5.0, timing.odd_day, "weekend"),
    Kind("bank_holiday", "day", 1.5, 4.5, timing.bank_holiday, "bank holiday"),
    Kind("cut_off", "period", 1.4, 5.5, timing.cut_off, "cut-off"),
    Kind("other_period", "period", 1.0, 4.0, timing.other_period, "report of another period"),
    Kind("document_sequence", "period", 0.75, 3.0, timing.document_sequence, "document sequence"),
    Kind("lone_number", "period", 3.5, 2.75, timing.lone_number, "document number by itself"),
    Kind("line_sequence", "order", 1.8, 1.0, timing.line_sequence, "line out of sequence"),
    Kind("look_alike_vendor", "payee", 1.0, 5.0, vendors.look_alike, "look-alike vendors"),
    Kind("vendor_respelled", "payee", 1.8, 5.0, vendors.respelled, "vendor re-spelled"),
    Kind("one_off_vendor", "payee", 0.5, 3.5, vendors.one_off, "one-off vendors"),
    Kind("vendor_burst", "payee", 1.8, 5.5, vendors.burst, "burst of payments to a vendor"),
    Kind("digit_run", "limit", 0.75, 3.5, benford.digit_run, "run of one leading digit"),
    Kind("vendor_number", "payee number", 0.2, 2.5, vendors.odd_number, "vendor number"),
    Kind("odd_account", "account", 0.1, 3.0, vendors.odd_account, "unusual account for vendor"),
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores per line (same index as the lines), evidence per test, strengths per test."""

    score: pd.Series
    evidence: pd.DataFrame
    strength: pd.DataFrame


def rank(context: Context) -> Ranking:
    """Run every test and combine them."""
    strength = pd.DataFrame({kind.name: kind.strength(context) for kind in KINDS})
    evidence = pd.DataFrame(
        {
            kind.name: kind.weight * (rarity(strength[kind.name]) - kind.ordinary).clip(lower=0.0)
            for kind in KINDS
        }
    )
    groups: dict[str, list[str]] = {}
    for kind in KINDS:
        groups.setdefault(kind.group, []).append(kind.name)
    score = pd.Series(0.0, index=strength.index)
    for members in groups.values():
        part = evidence[members]
        strongest = part.max(axis=1)
        score += strongest + SAME_GROUP_SHARE * (part.sum(axis=1) - strongest)
    score = score.where(_of_interest(context), np.maximum(score - OUTSIDE_NATS, score / 10))
    return Ranking(score, evidence, strength)


def _of_interest(context: Context) -> pd.Series:
    """True for lines of the audited year, and so near its ends that they may belong to it."""
    day, period = context.lines["date"], context.book.period
    margin = pd.Timedelta(days=timing.CUT_OFF_DAYS)
    return (day >= pd.Timestamp(period.start) - margin) & (day <= pd.Timestamp(period.end) + margin)


def rarity(strength: pd.Series) -> pd.Series:
    """-ln of the share of lines at least this strong, in nats; 0 where the test is silent."""
    fires = strength > 0
    at_least = strength.where(fires).rank(ascending=False, method="max")
    share = at_least / max(len(strength), LEAST_LINES)
    return pd.Series(np.where(fires, -np.log(share), 0.0), strength.index)
