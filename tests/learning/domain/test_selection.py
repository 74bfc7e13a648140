from __future__ import annotations

import pytest

from learning.domain.selection import choose, copies, distinct, wording

VAT = "What VAT rate applies to books sold in Germany?"
EXAMPLES = [
    "Which VAT rate applies to books sold in Germany today?",
    "Which VAT rate applies to books sold in Germany now?",
    "How is a lease under IFRS 16 measured at the start?",
    "What VAT is due on e-books delivered to France?",
]


def test_the_nearest_example_comes_first():
    assert choose(VAT, EXAMPLES, most=1)[0] in (0, 1)


def test_diversity_keeps_a_twin_out():
    picked = choose(VAT, EXAMPLES, most=2, balance=0.5)
    assert len({0, 1} & set(picked)) == 1


def test_similarity_alone_takes_both_twins():
    assert set(choose(VAT, EXAMPLES, most=2, balance=1.0)) == {0, 1}


def test_no_more_than_there_are_and_none_twice():
    picked = choose(VAT, EXAMPLES, most=10)
    assert sorted(picked) == [0, 1, 2, 3]
    assert choose(VAT, [], most=3) == []


def test_the_same_text_is_kept_once():
    assert distinct(["The same text here", "another one", "The same text here "]) == [0, 1]


def test_a_balance_outside_is_refused():
    with pytest.raises(ValueError, match="balance"):
        choose(VAT, EXAMPLES, most=1, balance=1.5)


@pytest.mark.parametrize(
    ("told", "again", "is_same"),
    [
        ("What is due on 1,200 EUR?", "what is due on 87'310.55 EUR", True),
        ("Close May\u2014then June!", "  close may then  june", True),
        ("What is due on 1,200 EUR?", "What is due on 1,200 USD?", False),
        ({"amount": 1200, "on": "2026-05-01"}, {"amount": 1300, "on": "2026-05-01"}, False),
        ({"on": "2026-05-01"}, {"on": "2026-06-01"}, False),
        ({"ask": "Is 5 due?", "of": "F-881"}, {"of": "f 881", "ask": "is 7 due"}, True),
        ({"of": "F-881"}, {"of": "F-882"}, False),
        (["a", 1, None, True], ("A", 1, None, True), True),
    ],
)
def test_a_wording_is_what_two_tellings_of_one_question_share(told, again, is_same):
    assert (wording(told) == wording(again)) is is_same


def test_a_copy_is_as_like_a_known_text_as_the_library_calls_the_same():
    asked = ["Which  vat rate applies to the books sold in Germany today?", "What is due in May?"]
    assert copies(asked, EXAMPLES) == [True, False]
    assert copies(asked, []) == [False, False] and copies([], EXAMPLES) == []
    assert copies(["", " "], [""]) == [False, False]
