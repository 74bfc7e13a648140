from __future__ import annotations

import pytest

from learning.domain.checks import accuracy, check_answer, completeness, relevance, words_of

GIVEN = "invoice of 12,345.67 EUR, 119 lines, VAT 2,345.68, due in 2026"


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("The total is 12 345.67 EUR.", 1.0, ""),
        ("The total is about 12,346 EUR.", 1.0, ""),  # rounded for reading
        ("12,345.67 in all, of which 999.00 is late.", 0.5, "1 of 2 figures"),
        ("Steps 1 to 3 are done.", None, ""),  # small whole numbers count things
        ("It is due.", None, ""),
    ],
)
def test_figures_are_held_to_what_was_given(text, value, words):
    found = accuracy(text, GIVEN)
    assert (found and found.value) == value and words in (found.reason if found else "")
    assert accuracy("The total is 999.", "no figures here") is None


def test_an_answer_is_whole_if_it_states_its_tools_figures_and_ends():
    facts = {"total": 1200.5, "late": "37", "note": "x"}
    assert completeness("1,200.50 in all, 37 late.", facts).value == 1.0
    half = completeness("1,200.50 in all.", facts)
    assert half.value == 0.5 and "1 of 2 of the tools' figures" in half.reason
    cut = completeness("1,200.50 in all, 37 late. It follows that the", facts, is_cut=True)
    assert cut.value == 0.5 and "limit of tokens" in cut.reason
    assert completeness("Yes.", {}) is None


def test_an_answer_is_about_the_question_if_it_takes_its_words_up():
    question = "Which withholding tax applies to dividends paid to a Luxembourg holding company?"
    about = relevance("Dividends to a Luxembourg holding company bear withholding tax of 15 %.",
                      question)  # fmt: skip
    beside = relevance("The depreciation of office furniture takes thirteen years.", question)
    assert about.value == 1.0 and beside.value == 0.0 and "7 of 7" in beside.reason
    assert relevance("Anything", "Why?") is None


def test_all_checks_that_apply_are_made():
    given = words_of({"a": [119, {"b": "lines"}]})
    asked = "What is the total amount of invoice lines?"
    found = check_answer("The total is 119.", question=asked, given=given, facts={"total": 119})
    assert [one.name for one in found] == ["accuracy", "completeness", "relevance"]
