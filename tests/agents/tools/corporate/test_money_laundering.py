"""Anti-money-laundering: bands, overrides of law, patterns and what is none."""

import pytest

from agents.tools.registry import get

FACTORS = ("customer_risk", "country_risk", "service_risk", "delivery_risk", "cash_risk")


def score(level=1, **arguments):
    return get("corporate.client_risk_score").call({**dict.fromkeys(FACTORS, level), **arguments})


def patterns(*moves, limit=1000):
    keys = ("made_on", "amount", "direction", "cash")
    return get("corporate.transaction_patterns").call(
        {
            "client_transactions": [dict(zip(keys, row, strict=True)) for row in moves],
            "reporting_limit": limit,
        }
    )


@pytest.mark.parametrize(
    ("level", "points", "band", "diligence"),
    [
        (1, 0.0, "low risk", "standard due diligence"),
        (2, 25.0, "low risk", "standard due diligence"),
        (3, 50.0, "medium risk", "standard due diligence"),
        (4, 75.0, "high risk", "enhanced due diligence"),
        (5, 100.0, "high risk", "enhanced due diligence"),
    ],
)
def test_points_run_from_nothing_to_a_hundred(level, points, band, diligence):
    result = score(level)
    assert (result["risk_score"], result["risk_band"]) == (points, band)
    assert result["due_diligence"] == diligence


@pytest.mark.parametrize("fact", ["politically_exposed", "high_risk_third_country"])
def test_the_law_overrides_a_low_score(fact):
    result = score(1, listed_or_public_body=True, **{fact: True})
    assert result["due_diligence"] == "enhanced due diligence"
    assert result["review_every_months"] == 6


def test_only_a_low_risk_public_client_has_simplified_diligence():
    assert score(1, listed_or_public_body=True)["due_diligence"].startswith("simplified")
    assert score(3, listed_or_public_body=True)["due_diligence"].startswith("standard")


SLICES = [
    ("2026-01-01", 900, "in", True),
    ("2026-01-04", 950, "in", True),
    ("2026-01-07", 990, "in", True),
]


def test_three_slices_within_a_week_are_structuring():
    assert patterns(*SLICES)["structured_total"] == "2840.00"


@pytest.mark.parametrize(
    "third",
    [
        ("2026-01-08", 990, "in", True),  # the eighth day
        ("2026-01-07", 1000, "in", True),  # at the limit, so reported anyway
        ("2026-01-07", 800, "in", True),  # well under it
        ("2026-01-07", 990, "in", False),  # not cash
        ("2026-01-07", 990, "out", True),
    ],
)
def test_what_misses_one_mark_of_structuring_is_none(third):
    result = patterns(*SLICES[:2], third)
    assert result["structured_receipts"] == 0
    assert result["patterns_verdict"] == "no suspicious pattern"


@pytest.mark.parametrize(
    ("paid_on", "paid", "total"),
    [
        ("2026-01-04", 1900, "2000.00"),
        ("2026-01-05", 1900, "0.00"),  # the fourth day after
        ("2026-01-02", 1700, "0.00"),  # most of it stays
        ("2026-01-02", 9000, "0.00"),  # an ordinary payment run
        ("2025-12-31", 1900, "0.00"),  # left before it came
    ],
)
def test_money_that_leaves_at_once_passes_through(paid_on, paid, total):
    moves = [("2026-01-01", 2000, "in", False), (paid_on, paid, "out", False)]
    assert patterns(*moves)["pass_through_total"] == total
