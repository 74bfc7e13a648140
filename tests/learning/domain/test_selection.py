from __future__ import annotations

import pytest

from learning.domain.selection import choose, distinct

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
