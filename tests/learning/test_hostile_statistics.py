"""Statistics that nothing can have, through HTTP: a refusal with the field, or a valid document."""

from __future__ import annotations

import json

import pytest

from tests.learning.domain.analysis.test_documents import document

pytestmark = pytest.mark.django_db
PLACE = '"successes": 1700'


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("NaN", 400), ("-Infinity", 400),  # are no JSON, or none that fits
        ("1e999", 400), ('"1700"', 422), ("-1", 422), ("2011", 422), ("null", 422), ("true", 422),
        ("[1700]", 422), ("1" + "0" * 400, 422), ("1700.5", 422), ("1e-300", 422),
        ("0", 200), ("2010", 200), ("1.7e3", 200),
    ],
)  # fmt: skip
def test_a_figure_that_cannot_be_is_refused_and_never_breaks_the_answer(api, written, status):
    body = json.dumps(document()).replace(PLACE, f'"successes": {written}')
    answer = api("post", "experiments/analysis", raw=body)
    assert answer.status_code == status, answer.content[:300]
    found = json.loads(answer.content, parse_constant=pytest.fail)
    if status == 422:
        assert found["field"].startswith("arms[1].metrics.accuracy") and found["detail"]


@pytest.mark.parametrize(
    "arm",
    [
        {"n": 10, "sum": 100, "sum_squares": 999},
        {"n": 1, "sum": 5, "sum_squares": 24},
        {"n": 0, "sum": 5, "sum_squares": 25},
        {"n": -3, "sum": 5, "sum_squares": 25},
        {"n": 10, "sum": 5, "sum_squares": -1},
    ],
)
def test_sums_that_no_values_have_are_refused(api, arm):
    given = document(metric={"type": "mean"}, control={"n": 10, "sum": 50, "sum_squares": 300},
                     treatment=arm)  # fmt: skip
    answer = api("post", "experiments/analysis", given)
    assert answer.status_code == 422, answer.content
    assert json.loads(answer.content)["field"].startswith("arms[1].metrics.accuracy")
