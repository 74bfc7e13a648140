"""Answers are graded by facts, numbers in whatever notation people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agents.domain.grading import grade, numbers_in
from config.errors import InvalidInput


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1,234.50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u202f234,50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1.234.567", "1234567"),
        ("1,234", "1234"),
        ("0,005", "0.005"),
        ("(1,234.50)", "-1234.50"),
        ("−5.25", "-5.25"),
        ("-$5.10", "-5.10"),
        ("€1,000", "1000"),
        ("1,200.00 EUR", "1200.00"),
        ("12.5 %", "12.5"),
        ("12.5 %", "0.125"),
        ("It is 99.", "99"),
        ("5,5", "5.5"),
        ("1.5e-3", "0.0015"),
        ("(3) items", "3"),
    ],
)
def test_a_number_is_read_in_its_usual_notations(written, number):
    assert Decimal(number) in numbers_in(written)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1.2k", "1.2"),
        ("1.2k", "1200"),
        ("A12", "12"),
        ("(1,234.50)", "1234.50"),
        ("2024-2025", "-2025"),
        ("1,234", "1.234"),
        ("1234", "123"),
        ("412.55", "412.5"),
    ],
)
def test_what_only_looks_like_the_number_is_not_it(written, number):
    assert Decimal(number) not in numbers_in(written)


@pytest.mark.parametrize(
    ("answer", "fact", "holds"),
    [
        ("Hours: 412.5", {"number": 412.5}, True),
        ("Hours: 412.504", {"number": 412.5}, True),
        ("Hours: 412.506", {"number": 412.5}, False),
        ("Hours: 420", {"number": 412.5, "tolerance": 10}, True),
        ("It is HIGH\n  risk.", {"text": "high risk"}, True),
        ("It is low risk.", {"text": "high risk"}, False),
        ("It is low risk.", {"absent": "high risk"}, True),
        ("It is high risk.", {"absent": "high risk"}, False),
        ("due 31 March", {"any_of": [{"text": "2025-03-31"}, {"text": "31 March"}]}, True),
        ("due 30 March", {"any_of": [{"text": "2025-03-31"}, {"text": "31 March"}]}, False),
        ("form CT600 is due", {"regex": r"form\s{1,3}ct\d{3}"}, True),
        ("form CT61 is due", {"regex": r"form\s{1,3}ct\d{3}"}, False),
    ],
)
def test_a_fact_holds_or_it_does_not(answer, fact, holds):
    assert grade(answer, [fact]).passed is holds


def test_a_grade_names_every_missing_fact():
    graded = grade("12", [{"number": 12}, {"number": 13}, {"text": "low"}])
    assert graded.missing == ("number 13", "text 'low'")
    assert not graded.passed


@pytest.mark.parametrize(
    "fact",
    [
        {"numbers": 1},
        {},
        {"number": 1, "text": "one"},
        {"regex": "a+"},
        {"regex": "(ab*)c"},
        {"regex": "a{2,}"},
        {"regex": "a" * 201},
        {"regex": "(a"},
    ],
)
def test_a_fact_that_cannot_be_checked_safely_is_refused(fact):
    with pytest.raises(InvalidInput):
        grade("aaa", [fact])


def test_a_plus_sign_in_a_class_or_escaped_is_no_repeat():
    assert grade("1+1", [{"regex": r"1\+1"}, {"regex": "1[+*]1"}]).passed


def test_an_overlong_answer_is_refused_rather_than_searched():
    with pytest.raises(InvalidInput, match="200000"):
        grade("x" * 200_001, [{"text": "x"}])
