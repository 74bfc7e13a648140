"""How often checks of live answers are right, on answers about a public ledger: truth is known.

Every answer is written from rows of the shipped payments (a public body's), so what is right and
what was changed is known. Figures of each class are published in docs/reference/learning-loop.md.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents import tools
from learning.domain.checks import accuracy, completeness, relevance

SAMPLE = Path(tools.__file__).parent / "ledger" / "sample" / "gla_payments_2011_2013.csv"
CASES, ROWS = 1500, 12
Row = dict[str, str]


def _amount(row: Row) -> float:
    return abs(float(row["amount_gbp"]))


def _digit(text: str, rng: random.Random) -> str:
    place = rng.choice([i for i, sign in enumerate(text) if sign.isdigit()])
    other = rng.choice([d for d in "123456789" if d != text[place]])
    return text[:place] + other + text[place + 1 :]


def _swapped(text: str, rng: random.Random) -> str:
    """Two neighbouring digits that differ change places; another digit where there are none."""
    places = [i for i in range(len(text) - 1)
              if text[i : i + 2].isdigit() and text[i] != text[i + 1]]  # fmt: skip
    if not places:
        return _digit(text, rng)
    at = rng.choice(places)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _german(amount: float) -> str:
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


# Class of answer → how it writes the amount of ``rows[0]``.
WAYS: dict[str, Callable[[list[Row], random.Random], str]] = {
    "exact": lambda rows, rng: f"{_amount(rows[0]):.2f}",
    "with separators": lambda rows, rng: f"{_amount(rows[0]):,.2f}",
    "as in Germany": lambda rows, rng: _german(_amount(rows[0])),
    "rounded to a unit": lambda rows, rng: f"about {_amount(rows[0]):,.0f}",
    "a sum of two rows": lambda rows, rng: f"{_amount(rows[0]) + _amount(rows[1]):.2f}",
    "a digit changed": lambda rows, rng: _digit(f"{_amount(rows[0]):.2f}", rng),
    "two digits swapped": lambda rows, rng: _swapped(f"{_amount(rows[0]):.2f}", rng),
    "ten times as much": lambda rows, rng: f"{10 * _amount(rows[0]):.2f}",
    "another row's": lambda rows, rng: f"{_amount(rows[1]):.2f}",
}


@pytest.fixture(scope="module")
def ledger() -> list[Row]:
    with SAMPLE.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if _amount(row) >= 100]


def _cases(ledger: list[Row]) -> Iterator[tuple[list[Row], random.Random]]:
    rng = random.Random(11)
    for _ in range(CASES):
        yield rng.sample(ledger, ROWS), rng


def _flagged(ledger: list[Row], way: str) -> float:
    """The share of answers of a class that ``check.accuracy`` gives less than 1."""
    found = 0
    for rows, rng in _cases(ledger):
        given = json.dumps([{k: row[k] for k in ("vendor", "amount_gbp", "payment_date")}
                            for row in rows])  # fmt: skip
        text = f"The payment to {rows[0]['vendor']} was {WAYS[way](rows, rng)} GBP."
        check = accuracy(text, given)
        found += check is not None and check.value < 1
    return found / CASES


@pytest.mark.parametrize(
    ("way", "least", "most"),
    [
        ("exact", 0, 0.02),
        pytest.param("with separators", 0, 0.02, marks=pytest.mark.slow),
        ("as in Germany", 0, 0.02),
        pytest.param("rounded to a unit", 0, 0.02, marks=pytest.mark.slow),
        ("a digit changed", 0.97, 1),
        pytest.param("two digits swapped", 0.97, 1, marks=pytest.mark.slow),
        pytest.param("ten times as much", 0.97, 1, marks=pytest.mark.slow),
        # What the check can't know: a figure that was worked out, and a true one in a wrong place.
        ("a sum of two rows", 0.97, 1),
        ("another row's", 0, 0.02),
    ],
)
def test_figures_that_nobody_gave_are_found_and_given_ones_are_not(
    ledger: list[Row], way: str, least: float, most: float
) -> None:
    share = _flagged(ledger, way)
    assert least <= share <= most, f"{way}: {share:.3f} of {CASES}"


@pytest.mark.parametrize(
    ("stated", "altered", "least", "most"),
    [(3, 0, 0, 0.01), (2, 0, 0.99, 1), (1, 0, 0.99, 1), (3, 1, 0.97, 1)],
)
def test_answers_that_leave_out_a_tools_figure_are_found(
    ledger: list[Row], stated: int, altered: int, least: float, most: float
) -> None:
    short = 0
    for rows, rng in _cases(ledger):
        facts = {f"amount_{n}": _amount(row) for n, row in enumerate(rows[:3])}
        words = [f"{value:,.2f}" for value in facts.values()][:stated]
        words[:altered] = [_digit(word, rng) for word in words[:altered]]
        check = completeness("The payments were " + ", ".join(words) + " GBP.", facts)
        short += check is not None and check.value < 1
    assert least <= short / CASES <= most, f"{short / CASES:.3f} of {CASES}"


def test_an_answer_about_another_payment_is_told_from_one_about_this(ledger: list[Row]) -> None:
    """Half of the question's words is the line: what falls under it is about something else."""
    own = others = asked = 0
    for rows, _ in _cases(ledger):
        first, second = rows[:2]
        question = f"What did {first['vendor']} get for {first['account'].lower()}?"
        answers = [f"{row['vendor']} got {_amount(row):.2f} GBP for {row['account'].lower()}."
                   for row in (first, second)]  # fmt: skip
        checks = [relevance(answer, question) for answer in answers]
        if checks[0] is None or checks[1] is None:
            continue
        asked += 1
        own += checks[0].value >= 0.5
        others += checks[1].value < 0.5
    assert asked > 0.8 * CASES
    assert own / asked > 0.99
    assert others / asked > 0.88, f"{others / asked:.3f} of {asked}"
