"""Benford's law on first and first-two digits: the statistic, and whether it applies at all.

Source: Nigrini, "Benford's Law", Wiley 2012, ch. 7 (MAD and its bounds, table 7.1) and ch. 2
(conditions: many amounts over several orders of magnitude, no built-in minimum or maximum).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from agents.tools.ledger.journal.context import Context, none_of
from agents.tools.ledger.journal.names import surprise
from agents.tools.ledger.journal.sizes import PRIOR_LINES

# Fewer amounts than this make the mean absolute deviation mostly noise.
LEAST_AMOUNTS = {1: 300, 2: 1000}
# Amounts must span this many powers of ten between their 1st and 99th percentile.
LEAST_ORDERS = 2.0
# Upper bounds of the mean absolute deviation: close, acceptable, marginal; above: nonconforming.
MAD_BOUNDS = {1: (0.006, 0.012, 0.015), 2: (0.0012, 0.0018, 0.0022)}
# The digits that Benford's law gives the fewest amounts: a run of them is invented, or kept low.
HIGH_DIGITS = (7, 8, 9)
RUN_DAYS = 31
RUN_LINES = 3
VERDICTS = ("close conformity", "acceptable conformity", "marginal conformity", "nonconformity")


def benford(lines: pd.DataFrame, digits: int) -> dict[str, Any]:
    """Test the first ``digits`` (1 or 2) of positive amounts of at least 10 pounds."""
    from scipy import stats

    pence = lines.loc[lines["pence"] >= 1000, "pence"].astype("int64")
    floor = float(pence.quantile(0.001)) / 100 if len(pence) else 0.0
    orders = (
        float(np.log10(pence.quantile(0.99)) - np.log10(pence.quantile(0.01)))
        if len(pence)
        else 0.0
    )
    reasons = []
    if len(pence) < LEAST_AMOUNTS[digits]:
        reasons.append(f"{len(pence)} amounts; {LEAST_AMOUNTS[digits]} are needed")
    if orders < LEAST_ORDERS:
        reasons.append(f"amounts span {orders:.1f} powers of ten; {LEAST_ORDERS:g} are needed")
    if floor > 100 and len(pence):
        reasons.append(f"the ledger starts at about {floor:.0f}: a threshold distorts digits")
    low, high = 10 ** (digits - 1), 10**digits
    leading = pence.astype(str).str[:digits].astype(int)
    observed = leading.value_counts().reindex(range(low, high), fill_value=0).to_numpy()
    expected = np.log10(1 + 1 / np.arange(low, high))
    result: dict[str, Any] = {
        "digits": digits, "amounts": len(pence), "applicable": not reasons, "reasons": reasons,
    }  # fmt: skip
    if not len(pence):
        return result
    share = observed / len(pence)
    mad = float(np.abs(share - expected).mean())
    statistic, p_value = stats.chisquare(observed, expected * len(pence))
    z = (share - expected) / np.sqrt(expected * (1 - expected) / len(pence))
    worst = np.argsort(-z)[:3]
    return {
        **result,
        "chi_squared": round(float(statistic), 2),
        "degrees_of_freedom": high - low - 1,
        "p_value": round(float(p_value), 6),
        "mean_absolute_deviation": round(mad, 5),
        "verdict": VERDICTS[int(np.searchsorted(MAD_BOUNDS[digits], mad))],
        "most_overrepresented": [
            {"digits": int(low + at), "observed": int(observed[at]),
             "expected": round(float(expected[at] * len(pence)), 1), "z": round(float(z[at]), 2)}
            for at in worst
        ],
    }  # fmt: skip


def digit_run(context: Context) -> pd.Series:
    """Several payments to one payee within a month that all start with the same high digit."""
    from scipy import stats

    lines = context.lines
    strength = none_of(lines)
    paid = lines[lines["pence"] >= 1000]
    leading = paid["pence"].astype(str).str[0].astype(int)
    start = lines["date"].min()
    for digit in HIGH_DIGITS:
        inside = leading == digit
        typical = float(inside.mean()) if len(paid) else 0.0
        several = inside.groupby(paid["party"]).transform("sum") >= RUN_LINES
        for _, group in paid[several].sort_values(["date", "order"]).groupby("party", sort=False):
            day = (group["date"] - start).dt.days.to_numpy()
            fires = inside[group.index].to_numpy()
            size, hits = group["size"].to_numpy(), int(fires.sum())
            for first in np.flatnonzero(fires):
                end = int(np.searchsorted(day, day[first] + RUN_DAYS, side="right"))
                part = first + np.flatnonzero(fires[first:end])
                different = len(set(size[part]))  # a standing payment is no run
                if different < RUN_LINES:
                    continue
                rate = (hits - len(part) + PRIOR_LINES * typical) / (
                    len(group) - len(part) + PRIOR_LINES
                )
                value = float(surprise(stats.binom.sf(different - 1, end - first, rate)))
                value -= np.log(max(len(group) / (end - first), 1.0)) / 2
                rows = group.index[part]
                strength[rows] = np.maximum(strength[rows], value)
    return strength
