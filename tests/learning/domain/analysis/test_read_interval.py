"""The interval that is drawn says what the reading says, whatever is measured and tested."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from learning.domain.analysis.reading import read
from learning.domain.analysis.report import report

TESTS = [
    {"kind": "sequential"}, {"kind": "sequential", "alternative": "greater"}, {"kind": "fixed"},
    {"kind": "fixed", "alternative": "less"}, {"kind": "bayesian"}, {"kind": "bandit"},
    {"kind": "bayesian", "prior": {"mean": 0, "stddev": 0.1, "proper": True}},
    {"kind": "group_sequential"},
]  # fmt: skip
TYPES = ["proportion", "mean", "count", "ratio", "quantile"]


def values(rng, kind, n, base):
    """An arm's statistics of ``n`` units whose mean is about ``base``, or a multiple of it."""
    if kind == "proportion":
        return {"n": n, "successes": sum(rng.random() < base for _ in range(n))}
    if kind == "quantile":
        found = sorted(rng.expovariate(1 / base) for _ in range(n))
        middle, width = int(n * 0.8), int(1.96 * math.sqrt(n * 0.16))
        ends = found[middle - width], found[min(middle + width, n - 1)]
        return {"n": n, "value": found[middle], "lower": ends[0], "upper": ends[1]}
    own = [rng.expovariate(1 / base) for _ in range(n)]
    if kind == "count":
        own = [float(sum(rng.random() < base / 3 for _ in range(3))) for _ in range(n)]
    if kind != "ratio":
        return {"n": n, "sum": sum(own), "sum_squares": sum(v * v for v in own)}
    calls = [float(rng.randint(1, 4)) for _ in range(n)]
    above = [a * b for a, b in zip(own, calls, strict=True)]
    return {
        "n": n, "numerator_sum": sum(above), "numerator_sum_squares": sum(v * v for v in above),
        "denominator_sum": sum(calls), "denominator_sum_squares": sum(v * v for v in calls),
        "numerator_denominator_sum_product": sum(
            a * b for a, b in zip(above, calls, strict=True)),
    }  # fmt: skip


def documents(kind, test, rng):
    """Studies small and large, with and without an effect, before and at their end."""
    for effect, n, shown in itertools.product(
        (-0.4, 0.0, 0.5), (40, 400), ("relative", "absolute")
    ):
        base, other = (
            rng.choice([0.04, 0.3, 0.6]),
            rng.choice([t for t in TYPES if t != "quantile"]),
        )
        primary = {"key": "m", "type": kind, "role": "primary",
                   "direction": rng.choice(["increase", "decrease"])}  # fmt: skip
        if kind == "quantile":
            primary["quantile"] = 0.8
        guard = {"key": "g", "type": other, "role": "guardrail", "margin": rng.choice([0.05, 0.3]),
                 "direction": rng.choice(["increase", "decrease"]),
                 "margin_type": rng.choice(["relative", "absolute"])}  # fmt: skip
        days = [
            {"date": f"2026-01-0{day + 1}", "arms": {
                arm: {"metrics": {
                    "m": values(rng, kind, n, base * (1 + effect * (arm == "b"))),
                    "g": values(rng, other, n, 0.3 * (1 + rng.choice([0, 0.4]) * (arm == "b"))),
                }} for arm in ("control", "b", "c")[: rng.choice([2, 2, 3])]
            }} for day in range(1 if kind == "quantile" else 2)
        ]  # fmt: skip
        arms = set.intersection(*(set(day["arms"]) for day in days))
        for day in days:
            day["arms"] = {arm: day["arms"][arm] for arm in sorted(arms, reverse=True)}
        yield {
            "experiment": {
                "metrics": [primary, guard], "test": {**test, "difference_type": shown},
                "minimum_days": 0, "minimum_units": 2, "watched": rng.random() < 0.5,
                "control": "control", "complete": rng.random() < 0.5,
                "planned_units": 2 * n * rng.choice([1, 3]),
            },
            "stages": [{"name": "all", "days": days}],
        }  # fmt: skip


def side(read, line, *, down):
    """On which side of ``line`` the whole interval lies: better, worse, or neither."""
    low = -math.inf if read["lower"] is None else read["lower"]
    high = math.inf if read["upper"] is None else read["upper"]
    if low > line:
        return "worse" if down else "better"
    return ("better" if down else "worse") if high < line else ""


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (kind, test)
        for kind, test in itertools.product(TYPES, TESTS)
        if kind != "quantile" or test["kind"] not in ("bandit", "group_sequential")
    ],
)
def test_an_interval_that_is_read_never_says_otherwise_than_its_reading(kind, test):
    rng, seen = random.Random(f"{kind} {test}"), 0
    for document in documents(kind, test, rng):
        found = report(read(document))
        primary, guard = found["metrics"]
        for row in primary["comparisons"]:
            if row["read"] is None:
                assert row["reading"] != "better"
                continue
            said = side(row["read"], 0.0, down=primary["direction"] == "decrease") or "unclear"
            assert said == row["reading"] or "not among all" in row["note"], (document, row)
            points = [p["read"] for p in found["path"] if p["arm"] == row["arm"] and p["read"]]
            if points:
                assert points[-1] == pytest.approx(row["read"]), "the plot ends at the table's row"
            seen += 1
        for row in guard["comparisons"]:
            if row["read"] is None:
                continue
            line = row["read"]["margin"]
            assert abs(line) == guard["margin"]
            assert row["read"]["difference_type"] == guard["margin_type"]
            said = side(row["read"], line, down=line > 0)
            expected = {"better": "holds", "worse": "breached"}.get(said, "open")
            assert expected == row["guardrail"] or "not among all" in row["note"], row
            points = [p["guardrails"][0] for p in found["path"] if p["arm"] == row["arm"]]
            if points:
                assert points[-1]["read"] == pytest.approx(row["read"]), "as the table's row"
                assert points[-1]["effect"]["lower"] == pytest.approx(row["lower"])
    assert seen > 4


def test_the_headline_gives_the_interval_that_is_read_where_the_shown_one_says_otherwise():
    """Two against twelve of 400: the relative interval holds zero, the difference does not."""
    for successes in range(2, 40):
        arms = {"control": {"n": 400, "successes": 3}, "b": {"n": 400, "successes": successes}}
        found = report(read({
            "experiment": {
                "metrics": [{"key": "m", "type": "proportion", "role": "primary"}],
                "minimum_days": 0, "minimum_units": 2,
            },
            "arms": {key: {"metrics": {"m": one}} for key, one in arms.items()},
        }))  # fmt: skip
        row = found["metrics"][0]["comparisons"][0]
        if row["reading"] == "better":
            break
    assert row["lower"] < 0 < row["read"]["lower"], "the case that this is about"
    assert " points (+" in found["headline"] and "on the control" not in found["headline"]
