"""Receivables: ageing limits and the provision matrix of IFRS 9's illustrative example 12."""

import pytest

from agents.tools.registry import get
from config.errors import InvalidInput

EXAMPLE_12 = {
    "not due": (15_000_000, "0.003"),
    "1-30 days": (7_500_000, "0.016"),
    "31-60 days": (4_000_000, "0.036"),
    "61-90 days": (2_500_000, "0.066"),
    "over 90 days": (1_000_000, "0.106"),
}
RATES = {bucket: rate for bucket, (_, rate) in EXAMPLE_12.items()}


def matrix(**arguments):
    return get("accounting.provision_matrix").call({"loss_rates": RATES, **arguments})


def age(items, as_at="2026-06-30"):
    rows = [
        {"invoice": str(place), "customer": who, "amount": amount, "due_on": due}
        for place, (who, amount, due) in enumerate(items)
    ]
    return get("accounting.age_receivables").call({"receivables": rows, "as_at": as_at})


def test_the_matrix_gives_the_allowance_of_illustrative_example_12():
    ageing = [{"bucket": name, "amount": gross} for name, (gross, _) in EXAMPLE_12.items()]
    result = matrix(ageing=ageing)
    assert result["expected_credit_loss"] == "580000.00"
    assert [row["expected_loss"] for row in result["matrix"]] == [
        "45000.00",
        "120000.00",
        "144000.00",
        "165000.00",
        "106000.00",
    ]


@pytest.mark.parametrize(
    ("due", "bucket"),
    [
        ("2026-06-30", "not due"),
        ("2026-06-29", "1-30 days"),
        ("2026-05-31", "1-30 days"),
        ("2026-05-30", "31-60 days"),
        ("2026-04-01", "61-90 days"),
        ("2026-03-31", "over 90 days"),
    ],
)
def test_an_item_falls_in_the_bucket_of_its_days_past_due(due, bucket):
    result = age([("a", 10, due)])
    assert [row["bucket"] for row in result["ageing"] if row["items"]] == [bucket]


def test_the_buckets_add_to_the_total():
    result = age(
        [("a", "10.10", "2026-01-01"), ("b", "-3.05", "2026-06-01"), ("a", 5, "2027-01-01")]
    )
    assert result["total_receivables"] == "12.05"
    assert result["past_due_total"] == "7.05"


def test_a_bucket_in_credit_needs_no_allowance():
    assert matrix(ageing=[{"bucket": "not due", "amount": -500}])["expected_credit_loss"] == "0.00"


def test_a_scaled_rate_stops_at_the_whole_amount():
    result = matrix(ageing=[{"bucket": "over 90 days", "amount": 200}], forward_looking_factor="10")
    assert result["expected_credit_loss"] == "200.00"


def test_less_risk_than_before_releases_allowance():
    result = matrix(ageing=[{"bucket": "not due", "amount": 1000}], existing_allowance=10)
    assert result["charge_to_profit"] == "-7.00"
    assert result["conclusion"] == "release part of the allowance"


def test_a_bucket_without_rate_is_named():
    with pytest.raises(InvalidInput, match="91-120"):
        matrix(ageing=[{"bucket": "91-120", "amount": 5}])
