"""Payees that do not fit: look-alikes, re-spellings, one-off payees, odd accounts.

Sources: ISA 240 appendix 1 (fictitious vendors); ACFE, "Fraud Examiners Manual" (shell-company
and billing schemes: near-duplicate names, new vendors with a single payment).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agents.tools.ledger.journal.context import Context, none_of
from agents.tools.ledger.journal.names import surprise

# A history within this share of the ledger's days is a burst: about six weeks of two years.
BURST_SHARE = 0.06


def look_alike(context: Context) -> pd.Series:
    """Lines of a small payee whose name is nearly that of a larger one under another id."""
    lines, pairs = context.lines, context.pairs
    strength = none_of(lines)
    if pairs.empty:
        return strength
    shared = pairs["minor"].str.contains("|", regex=False)
    gap = np.log(pairs["major_lines"] / pairs["minor_lines"]).clip(upper=4.0)
    value = 2.0 + gap - np.log(pairs["minor_lines"]) + np.where(shared, -2.0, 0.0)
    value += np.where(pairs["distance"] > 0, 4.0, np.where(pairs["spelled_apart"], 2.0, 0.0))
    best = pd.Series(value.to_numpy(), index=pairs["minor"]).groupby(level=0).max()
    return lines["entity"].map(best).fillna(0.0).clip(lower=0.0)


def respelled(context: Context) -> pd.Series:
    """A spelling of the name that its own vendor id hardly uses."""
    lines = context.lines
    spelling = lines["vendor"].str.upper().str.replace(r"\s+", " ", regex=True)
    own = lines.groupby(["entity", spelling])["order"].transform("size")
    all_lines = lines.groupby("entity")["order"].transform("size")
    kinds = spelling.groupby(lines["entity"]).transform("nunique")
    rare = (kinds > 1) & (own <= 0.34 * all_lines)
    return pd.Series(surprise(own / all_lines), lines.index).where(rare, 0.0) + np.where(
        rare, 1.0, 0.0
    )


def one_off(context: Context) -> pd.Series:
    """A payee with a single payment; larger, rounder and near a limit is stronger."""
    lines = context.lines
    count = lines.groupby("party")["order"].transform("size")
    fires = (count == 1) & (lines["pence"] > 0)
    if not fires.any():
        return none_of(lines)
    rank = 1 - lines["log_size"].where(fires).rank(pct=True) * 0.98
    value = surprise(fires.mean()) + 0.5 * surprise(rank.fillna(1.0))
    return pd.Series(value, lines.index).where(fires, 0.0)


def burst(context: Context) -> pd.Series:
    """A payee whose whole history is a handful of payment days close together."""
    lines = context.lines
    first = lines["date"].min()
    days = max((lines["date"].max() - first).days, 1)
    group = lines[lines["pence"] > 0].assign(day=(lines["date"] - first).dt.days).groupby("party")
    table = group["day"].agg(["min", "max", "nunique", "size"])
    span = (table["max"] - table["min"] + 1) / days
    value = (table["nunique"] - 1) * surprise(span.clip(upper=1.0))
    value = value.where((table["nunique"] >= 3) & (span < BURST_SHARE), 0.0)
    return lines["party"].map(value).fillna(0.0)


def odd_number(context: Context) -> pd.Series:
    """A vendor id of an unusual form, or one issued out of turn for the day of first use."""
    lines = context.lines
    first = lines.sort_values(["date", "order"]).drop_duplicates("vendor_id")
    form = first["vendor_id"].str.replace(r"\d", "9", regex=True) + first["vendor_id"].str[:2]
    share = form.map(form.value_counts()) / len(first)
    value = pd.Series(surprise(share), index=first.index)
    number = pd.to_numeric(first["vendor_id"], errors="coerce")
    for _, index in form.groupby(form).groups.items():
        known = number[index].dropna()
        if len(known) >= 100:
            value[known.index] = np.maximum(value[known.index], _ahead(first, known))
    value = value.where(value > 2.5, 0.0)
    few = lines.groupby("vendor_id")["order"].transform("size")
    return lines["vendor_id"].map(pd.Series(value.to_numpy(), index=first["vendor_id"])) / np.sqrt(
        few
    )


def _ahead(first: pd.DataFrame, known: pd.Series) -> np.ndarray:
    """How far an id runs ahead of those in use by its day, as the surprise of its rank."""
    by_day = known.loc[first.loc[known.index].sort_values("date").index]
    newest = by_day.rolling(40, min_periods=10).quantile(0.9).bfill()
    spread = max(float(by_day.quantile(0.75) - by_day.quantile(0.25)), 1.0)
    lead = ((by_day - newest) / spread).clip(lower=0)
    rank = lead.rank(ascending=False, method="max") / len(lead)
    return surprise(rank).where(lead > 0.15, 0.0).loc[known.index].to_numpy()


def odd_account(context: Context) -> pd.Series:
    """An account that an established payee never uses otherwise."""
    lines = context.lines
    of_payee = lines.groupby("party")["order"].transform("size")
    of_pair = lines.groupby(["party", "account_code"])["order"].transform("size")
    of_account = lines.groupby("account_code")["order"].transform("size")
    accounts = lines.groupby("party")["account_code"].transform("nunique")
    fires = (of_payee >= 8) & (of_pair == 1)
    rate = (accounts - 0.5) / of_payee  # a payee with many accounts easily meets another
    value = surprise(rate.clip(upper=1.0)) + 0.3 * surprise(of_account / len(lines))
    return pd.Series(value, lines.index).where(fires, 0.0)
