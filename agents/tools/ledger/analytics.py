"""Analytical review: each account's months against what its other months predict.

Sources: ISA 520.5 (expectation, threshold, difference); the expectation is a straight line by
ordinary least squares, each month judged by its deleted residual (Belsley, Kuh, Welsch 1980,
ch. 2), so that an odd month does not hide itself by bending the line.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from agents.tools.ledger.book import Book, open_book, pounds
from agents.tools.registry import ToolContext

CONFIDENCE = 0.95
LEAST_MONTHS = 6
# A change against the prior year worth asking about: both this share and this part of spending.
CHANGE_RATIO, CHANGE_OF_TOTAL = 0.25, 0.005
SHOWN = 40


def analytical_review(ledger: str, context: ToolContext, year: int | str | None) -> dict[str, Any]:
    """Unexpected months, changes against the prior year, and ratios; amounts in pounds."""
    book = open_book(ledger, context, year)
    flags = _unexpected_months(book)
    changes = _against_prior(book)
    total = book.audited["pence"].sum()
    unexplained = sum(abs(flag["difference"]) for flag in flags)
    verdict = "no month stands out" if not flags else f"{len(flags)} months need an explanation"
    return {
        "period": book.period.as_dict(),
        "confidence": CONFIDENCE,
        "unexpected_month_count": len(flags),
        "unexpected_months": flags[:SHOWN],
        "unexplained_difference": round(unexplained, 2),
        "prior_year_available": bool(changes["available"]),
        "prior_year_total": changes["total"],
        "change_on_prior_percent": changes["percent"],
        "changed_account_count": len(changes["accounts"]),
        "changed_accounts": changes["accounts"][:SHOWN],
        "ratios": _ratios(book.audited),
        "total": pounds(total),
        "conclusion": f"{verdict}; {len(changes['accounts'])} accounts moved against last year",
    }


def _unexpected_months(book: Book) -> list[dict[str, Any]]:
    lines = book.audited
    first = pd.Period(book.period.start, "M")
    last = min(pd.Period(book.period.end, "M"), pd.Period(book.lines["date"].max(), "M"))
    months = pd.period_range(first, max(first, last), freq="M")
    if len(months) < LEAST_MONTHS:
        return []
    month = lines["date"].dt.to_period("M")
    flags: list[dict[str, Any]] = []
    for code, group in lines.groupby("account_code"):
        net = group["pence"].groupby(month[group.index]).sum().reindex(months, fill_value=0)
        if (net != 0).sum() < LEAST_MONTHS:
            continue
        names = {"account_code": str(code), "account": group["account"].iloc[0]}
        flags += [{**names, **flag} for flag in _outside(net)]
    return sorted(flags, key=lambda flag: -abs(flag["difference"]))


def _outside(net: pd.Series) -> list[dict[str, Any]]:
    """Months of one account outside their own prediction interval."""
    from scipy import stats
    from statsmodels.regression.linear_model import OLS

    values = net.to_numpy(dtype=float)
    count = len(values)
    design = np.column_stack([np.ones(count), np.arange(count, dtype=float)])
    fitted = OLS(values, design).fit()
    if fitted.ssr <= 1e-6 * (values**2).sum():
        return []
    leverage = np.sum(design @ np.linalg.pinv(design.T @ design) * design, axis=1)
    deleted = fitted.resid / (1 - leverage)
    variance = (fitted.ssr - fitted.resid**2 / (1 - leverage)) / (count - 3)
    spread = np.sqrt(np.maximum(variance, 1.0) / (1 - leverage))
    # Each account tests every month: Bonferroni keeps the account's false alarms at 5 %.
    reach = stats.t.ppf(1 - (1 - CONFIDENCE) / 2 / count, count - 3) * spread
    return [
        {
            "month": str(net.index[i]),
            "actual": pounds(values[i]),
            "expected": pounds(values[i] - deleted[i]),
            "low": pounds(values[i] - deleted[i] - reach[i]),
            "high": pounds(values[i] - deleted[i] + reach[i]),
            "difference": pounds(deleted[i]),
        }
        for i in range(count)
        if abs(deleted[i]) > reach[i]
    ]


def _against_prior(book: Book) -> dict[str, Any]:
    """This year by account against the same days a year earlier."""
    start = _year_before(book.period.start)
    end = book.period.start - timedelta(days=1)
    day = book.lines["date"]
    prior = book.lines[(day >= pd.Timestamp(start)) & (day <= pd.Timestamp(end))]
    if prior.empty or book.audited.empty:
        return {"available": False, "total": None, "percent": None, "accounts": []}
    this_sum = book.audited.groupby("account_code")["pence"].sum()
    prior_sum = prior.groupby("account_code")["pence"].sum()
    both = pd.concat({"this": this_sum, "prior": prior_sum}, axis=1).fillna(0)
    both["change"] = both["this"] - both["prior"]
    moved = both[
        (both["change"].abs() >= CHANGE_RATIO * both["prior"].abs())
        & (both["change"].abs() >= CHANGE_OF_TOTAL * abs(this_sum.sum()))
    ]
    names = book.lines.drop_duplicates("account_code").set_index("account_code")["account"]
    total, before = float(this_sum.sum()), float(prior_sum.sum())
    return {
        "available": True,
        "total": pounds(before),
        "percent": round((total - before) / abs(before) * 100, 1) if before else None,
        "accounts": [
            {
                "account_code": str(code),
                "account": names[code],
                "this_year": pounds(row["this"]),
                "prior_year": pounds(row["prior"]),
                "change": pounds(row["change"]),
                "change_percent": round(float(row["change"] / abs(row["prior"])) * 100, 1)
                if row["prior"]
                else None,
            }
            for code, row in moved.loc[
                moved["change"].abs().sort_values(ascending=False).index
            ].iterrows()
        ],
    }


def _year_before(day: date) -> date:
    return day.replace(year=day.year - 1)


def _ratios(lines: pd.DataFrame) -> dict[str, float]:
    """Shares that a reader compares between years, in percent, and the mean payment in pounds."""
    if lines.empty or lines["pence"].sum() == 0:
        return {}
    total = float(lines["pence"].sum())
    vendors = lines.groupby("vendor_id")["pence"].sum().sort_values(ascending=False)
    last = lines["date"].dt.to_period("M") == lines["date"].max().to_period("M")
    return {
        "mean_payment": pounds(lines["pence"].mean()),
        "credits_to_debits_percent": round(
            -float(lines["pence"].clip(upper=0).sum())
            / max(float(lines["pence"].clip(lower=0).sum()), 1.0)
            * 100,
            2,
        ),
        "top_ten_vendors_percent": round(float(vendors.head(10).sum()) / total * 100, 2),
        "largest_vendor_percent": round(float(vendors.iloc[0]) / total * 100, 2),
        "last_month_percent": round(float(lines.loc[last, "pence"].sum()) / total * 100, 2),
    }
