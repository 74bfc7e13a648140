"""Amounts that do not fit: round, outlying, of the wrong sign, or kept under a limit.

Sources: ISA 240 appendix 2 and A45 (round-number and unusual entries); Nigrini, "Forensic
Analytics", 2nd ed. (number-duplication, relative-size-factor); the base rate of each payee and
account is its own yardstick, shrunk to the ledger's where it has few lines.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agents.tools.ledger.journal.context import Context, none_of
from agents.tools.ledger.journal.names import surprise

# Approval limits in pounds that purchasing rules commonly set.
LIMITS_POUNDS = (1_000, 2_500, 5_000, 10_000, 20_000, 25_000, 50_000, 100_000)
# A part of a split payment lies in this share of the limit.
SPLIT_BAND = (0.80, 1.0)
SPLIT_DAYS = 10
# Lines of prior weight: how many of its own lines a payee needs to outweigh the ledger.
PRIOR_LINES = 4.0


def base_rate(fires: pd.Series, lines: pd.DataFrame) -> pd.Series:
    """P(fires) for each line from its payee's and account's *other* lines and the ledger's."""
    overall = float(np.clip(fires.mean(), 1e-4, 1.0))
    hits = fires.astype(float)

    def others(column: str, prior: pd.Series | float) -> pd.Series:
        grouped = hits.groupby(lines[column])
        total, count = grouped.transform("sum"), grouped.transform("size")
        return (total - hits + PRIOR_LINES * prior) / (count - 1 + PRIOR_LINES)

    return others("party", others("account_code", overall))


def round_amount(context: Context) -> pd.Series:
    """A round amount where payee and account rarely have one; rounder is stronger."""
    lines = context.lines
    strength = none_of(lines)
    for unit in (10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000):
        fires = (lines["size"] % unit == 0) & (lines["size"] >= unit)
        if fires.any():
            value = surprise(base_rate(fires, lines)) + np.log(unit / 10_000) / 6
            strength = strength.where(~fires, np.maximum(strength, value))
    return strength


def outlier(context: Context) -> pd.Series:
    """An amount far above what payee and account usually have (leave-one-out, on logs)."""
    lines = context.lines
    value = lines["log_size"]
    account_mean, account_sd, _ = _others(value, lines["account_code"])
    payee_mean, payee_sd, count = _others(value, lines["party"])
    pair_mean, pair_sd, pairs = _others(value, lines["party"] + "\x00" + lines["account_code"])
    enough = pairs >= 5  # a payee's lines on one account are the nearer comparison
    payee_mean = payee_mean.where(~enough, pair_mean)
    payee_sd, count = payee_sd.where(~enough, pair_sd), count.where(~enough, pairs)
    overall_mean, overall_sd = value.mean(), max(value.std(ddof=0), 0.3)
    account_mean, account_sd = account_mean.fillna(overall_mean), account_sd.fillna(overall_sd)
    weight = count / (count + 2.0)
    mean = weight * payee_mean.fillna(0) + (1 - weight) * account_mean
    spread = np.sqrt(
        weight * payee_sd.fillna(0) ** 2
        + (1 - weight) * (account_sd**2 + weight * (payee_mean.fillna(mean) - account_mean) ** 2)
    )
    z = (value - mean) / np.maximum(spread, 0.35)
    from scipy import stats

    tail = stats.t.sf(np.maximum(z, 0), df=np.clip(count, 3, 30))
    strength = pd.Series(surprise(tail), index=lines.index)
    return strength.where(z > 1.5, 0.0)


def _others(value: pd.Series, by: pd.Series) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Mean, standard deviation and number of the other lines of each line's group."""
    grouped = value.groupby(by)
    count = grouped.transform("size") - 1
    total = grouped.transform("sum") - value
    squares = (value**2).groupby(by).transform("sum") - value**2
    mean = (total / count.where(count > 0)).astype(float)
    variance = (squares / count.where(count > 0) - mean**2).clip(lower=0)
    return mean, np.sqrt(variance), count


def relative_size(context: Context) -> pd.Series:
    """A payee's largest payment against its next: Nigrini's relative size factor."""
    lines = context.lines
    strength = none_of(lines)
    ordered = lines.sort_values("size", ascending=False).groupby("party", sort=False)
    count = ordered["order"].transform("size")
    second = ordered["size"].nth(1)
    largest = ordered["size"].head(1)
    several = largest.index[(count[largest.index] >= 4).to_numpy()]
    if several.empty:
        return strength
    next_size = second.set_axis(lines.loc[second.index, "party"])
    factor = lines.loc[several, "size"] / lines.loc[several, "party"].map(next_size).clip(lower=1)
    strength[several] = np.log(factor.astype(float)) + np.log(count[several]) / 4
    return strength.where(strength > 1.5, 0.0)


def decimal_slip(context: Context) -> pd.Series:
    """Ten or a hundred times (or a tenth of) another amount of the payee, digit for digit."""
    lines = context.lines
    strength = none_of(lines)
    digits = lines["size"].astype(str).str.rstrip("0")
    informative = digits.str.len() >= 3
    frame = lines[informative].assign(digits=digits[informative])
    # Nearly all digits of a payee stand for one amount: only the others are gone through.
    sizes = frame.groupby(["party", "digits"], sort=False)["size"].transform("nunique")
    for (_, found), group in frame[sizes > 1].groupby(["party", "digits"], sort=False):
        expected = len(frame) and (group["order"].size / 9) / 10 ** (len(found) - 2)
        counts = group["size"].map(group["size"].value_counts())
        value = surprise(min(expected, 1.0)) - np.log(counts)
        largest = group["size"] == group["size"].max()
        strength[group.index] = np.maximum(value * np.where(largest, 1.0, 0.6), 0)
    return strength


def reversed_sign(context: Context) -> pd.Series:
    """A credit where payee and account rarely have one, or one as large as usual payments."""
    lines = context.lines
    minority = lines["pence"] < 0
    if minority.mean() > 0.5:
        minority = lines["pence"] > 0
    # A credit inside a document of several lines corrects that document; alone it surprises.
    alone = ~lines.duplicated(["party", "doc_no"], keep=False)
    strength = none_of(lines)
    for part in (alone, ~alone):
        if (minority & part).any():
            rate = base_rate(minority[part], lines[part])
            strength[part] = surprise(rate) + lines.loc[part, "log_size"] / 6
    # A credit that cancels an equal payment explains itself; one without a payment does not.
    paid = lines.loc[lines["pence"] > 0, ["party", "size"]].drop_duplicates()
    matched = lines[["party", "size"]].merge(paid.assign(hit=1), how="left")["hit"].notna()
    strength -= np.where(matched, 1.0, 0.0)
    siblings = lines[minority].groupby(["party", "date"])["order"].transform("size")
    strength -= np.log(siblings).reindex(lines.index).fillna(0.0)
    return strength.where(minority, 0.0).clip(lower=0.0)


def unpaid_credit(context: Context) -> pd.Series:
    """A credit on a day when its payee's lines do not add up to a payment.

    A payment run sets credits off against invoices and pays the rest, so the sum of a payee's day
    is hardly ever nil or negative; a payment whose sign was turned makes it so.
    """
    lines = context.lines
    minority, sign = lines["pence"] < 0, 1
    if minority.mean() > 0.5:
        minority, sign = lines["pence"] > 0, -1
    net = sign * lines.groupby(["party", "date"])["pence"].transform("sum")
    fires = minority & (net <= 0)
    # Whether credits stand alone is a habit of ledgers and of payees: both are asked.
    habit = base_rate(fires[minority], lines[minority]) if minority.any() else 1.0
    value = 1.0 + pd.Series(surprise(habit), index=lines.index[minority]) + (net < 0)[minority]
    return value.reindex(lines.index).where(fires, 0.0).fillna(0.0)


def split(context: Context) -> pd.Series:
    """Payments to one payee within days, each under an approval limit, together over it."""
    lines = context.lines
    strength = none_of(lines)
    frame = lines[lines["pence"] > 0].sort_values(["date", "order"])
    start = lines["date"].min()
    for limit in LIMITS_POUNDS:
        low, high = SPLIT_BAND[0] * limit * 100, SPLIT_BAND[1] * limit * 100
        inside = (frame["size"] >= low) & (frame["size"] < high)
        typical = float(inside.mean()) if len(frame) else 0.0
        candidates = inside.groupby(frame["party"]).transform("sum") > 1
        for _, group in frame[candidates].groupby("party", sort=False):
            day = (group["date"] - start).dt.days.to_numpy()
            _mark_splits(strength, group, day, inside[group.index].to_numpy(), limit, typical)
    return strength


def _mark_splits(
    strength: pd.Series,
    group: pd.DataFrame,
    day: np.ndarray,
    inside: np.ndarray,
    limit: int,
    typical: float,
) -> None:
    """Score each window of a payee: how unlikely so many of its payments lie under the limit."""
    from scipy import stats

    size = group["size"].to_numpy()
    total, hits = len(size), int(inside.sum())
    windows, paid = [], []
    for first in np.flatnonzero(inside):
        end = int(np.searchsorted(day, day[first] + SPLIT_DAYS, side="right"))
        part = first + np.flatnonzero(inside[first:end])
        if len(part) > 1 and size[part].sum() >= limit * 100:
            windows.append(part)
            paid.append(end - first)
    if not windows:
        return
    count, lines = np.array([len(part) for part in windows]), np.array(paid)
    rate = (hits - count + PRIOR_LINES * typical) / (total - count + PRIOR_LINES)
    values = surprise(stats.binom.sf(count - 1, np.maximum(lines, count), rate))
    # As many windows as chances to find one.
    values -= np.log(np.maximum(total / lines, 1.0)) / 2
    for part, value in zip(windows, values, strict=True):
        value += float(np.mean(size[part] / (limit * 100) >= 0.9))
        value -= 2.0 if len(set(size[part])) == 1 else 0.0
        rows = group.index[part]
        strength[rows] = np.maximum(strength[rows], value)


def below_limit(context: Context) -> pd.Series:
    """A single payment within 3 % under an approval limit, where its payee has few such."""
    lines = context.lines
    strength = none_of(lines)
    for limit in LIMITS_POUNDS:
        fires = (lines["pence"] < limit * 100) & (lines["pence"] >= limit * 97)
        if fires.any():
            value = pd.Series(surprise(base_rate(fires, lines)), index=lines.index)
            strength = strength.where(~fires, np.maximum(strength, value))
    return strength
