"""Monetary-unit sampling: selection by seed, and projection of the errors found.

Sources: ISA 530.6-8 and appendix 4; AICPA Audit Guide "Audit Sampling", ch. 6; Stringer,
"Practical aspects of statistical sampling in auditing", 1963 (the bound).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agents.tools.audit.sampling import expansion_factor
from agents.tools.ledger import benchmarks
from agents.tools.ledger.book import Book, open_book, pounds
from agents.tools.registry import ToolContext
from config.errors import InvalidInput

SHOWN_ITEMS = 150
# More items than this mean that materiality is too small for sampling to make sense.
MAX_ITEMS = 5000


def sample(
    ledger: str,
    context: ToolContext,
    materiality: float | dict[str, Any] | None,
    seed: int,
    confidence: float,
    expected_misstatement: float,
    year: int | str | None,
) -> dict[str, Any]:
    """Select payments of the audited year with probability proportional to their pounds.

    Lines of at least one interval are all selected (top stratum); the rest by a systematic walk
    over the pounds from a seeded start. Credits are not in the population and are listed by sum.
    """
    book = open_book(ledger, context, year)
    tolerable = benchmarks.level(materiality)
    if tolerable is None:
        tolerable = _default_tolerable(book)
    interval = _interval(tolerable, expected_misstatement, confidence)
    lines = book.audited.reset_index(drop=True)
    debits = lines[lines["pence"] > 0]
    total = int(debits["pence"].sum())
    if total <= 0:
        raise InvalidInput("ledger", "no payment in the year", "sampling needs payments above 0")
    if total / interval > MAX_ITEMS:
        raise InvalidInput(
            "materiality", tolerable, f"so small that over {MAX_ITEMS} items would be selected"
        )
    top = debits[debits["pence"] >= interval]
    rest = debits[debits["pence"] < interval]
    start = int(np.random.default_rng(seed).integers(0, max(interval, 1)))
    reached = np.cumsum(rest["pence"].to_numpy())
    points = np.arange(start, int(rest["pence"].sum()), interval)
    chosen = rest.iloc[np.searchsorted(reached, points, side="right")]
    items = [
        ("top stratum", row) for _, row in top.sort_values("pence", ascending=False).iterrows()
    ]
    items += [("sample", row) for _, row in chosen.iterrows()]
    return {
        "period": book.period.as_dict(),
        "method": "monetary-unit sampling, systematic with seeded start",
        "seed": seed,
        "confidence_percent": round(confidence * 100, 4),
        "tolerable_misstatement": round(tolerable, 2),
        "sampling_interval": pounds(interval),
        "random_start": pounds(start),
        "population_value": pounds(total),
        "population_lines": len(debits),
        "credits_not_sampled": pounds(lines.loc[lines["pence"] < 0, "pence"].sum()),
        "sample_size": len(items),
        "top_stratum_items": len(top),
        "top_stratum_value": pounds(top["pence"].sum()),
        "value_selected": pounds(sum(int(row["pence"]) for _, row in items)),
        "coverage_percent": round(sum(int(row["pence"]) for _, row in items) / total * 100, 2),
        "items": [_item(stratum, row) for stratum, row in items[:SHOWN_ITEMS]],
    }


def evaluate_sample(
    results: list[dict[str, Any]], interval: float, tolerable: float, confidence: float
) -> dict[str, Any]:
    """Projected misstatement and its upper limit for overstatements, amounts in pounds.

    An item of at least one interval counts its own error; a smaller one taints the interval it
    stands for. Upper limit = top-stratum errors + interval x (P0 + sum of (P_i - P_i-1) x t_i),
    with taintings t descending and P the Poisson upper limits (3.00 for none at 95 %).
    """
    from scipy import stats

    known, taints, understated = 0.0, [], 0.0
    for at, item in enumerate(results):
        book, audited = (_number(item, name, at) for name in ("book_value", "audited_value"))
        if book <= 0:
            raise InvalidInput(f"results.{at}.book_value", book, "must be above 0")
        error = book - audited
        if error < 0:
            understated += -error if book >= interval else -error / book * interval
        elif book >= interval:
            known += error
        elif error > 0:
            taints.append(min(error / book, 1.0))
    taints.sort(reverse=True)
    factors = [float(stats.gamma.ppf(confidence, i + 1)) for i in range(len(taints) + 1)]
    basic = interval * factors[0]
    projected = interval * sum(taints)
    steps = (factors[i + 1] - factors[i] for i in range(len(taints)))
    bound = interval * sum(step * taint for step, taint in zip(steps, taints, strict=True))
    upper = known + basic + bound
    return {
        "items_evaluated": len(results),
        "items_in_error": len(taints) + (known > 0),
        "known_top_stratum_error": round(known, 2),
        "projected_misstatement": round(known + projected, 2),
        "projected_understatement": round(understated, 2),
        "basic_precision": round(basic, 2),
        "incremental_allowance": round(bound - projected, 2),
        "upper_misstatement_limit": round(upper, 2),
        "sampling_conclusion": "accept: the upper limit is within the tolerable misstatement"
        if upper <= tolerable
        else "extend the work: the upper limit exceeds the tolerable misstatement",
    }


def _interval(tolerable: float, expected: float, confidence: float) -> int:
    """The sampling interval in pence."""
    room = tolerable - expected * expansion_factor(confidence)
    if room <= 0:
        raise InvalidInput(
            "expected_misstatement", expected, f"too near the tolerable misstatement {tolerable}"
        )
    return max(int(room / -math.log(1 - confidence) * 100), 1)


def _default_tolerable(book: Book) -> float:
    """Performance materiality at medium risk, as ledger.materiality computes it."""
    base = max(int(book.audited["pence"].sum()), 1) / 100
    overall = benchmarks.round_down(base * benchmarks.PERCENT_OF_EXPENDITURE["medium"] / 100)
    return max(overall * benchmarks.PERFORMANCE_SHARE["medium"], 0.01)


def _item(stratum: str, row: Any) -> dict[str, Any]:
    return {
        "line_id": str(row["line_id"]),
        "account_code": str(row["account_code"]),
        "amount": pounds(row["pence"]),
        "date": str(row["date"].date()),
        "stratum": stratum,
    }


def _number(item: dict[str, Any], name: str, at: int) -> float:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"results.{at}.{name}", value, "a number of pounds")
    return float(value)
