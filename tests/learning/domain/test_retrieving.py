from __future__ import annotations

from dataclasses import replace

import pytest

from agents.domain.retrieval import STANDARD
from learning.domain import retrieving
from learning.domain.retrieving import Seen


def test_a_context_is_held_to_whole_sentences_of_a_marked_passage():
    wanted = retrieving.needles("The rate is revised.\nYes. The other side goes to the asset.")
    assert wanted == ("the rate is revised.", "the other side goes to the asset.")
    assert retrieving.held("… the rate is  revised.".replace("  ", " "), wanted) == 0.5
    assert retrieving.needles("Short.") == ("short.",)


def test_a_passage_that_is_too_long_is_cut_so_that_all_contexts_are_equal():
    long = "word " * 400
    context, fits = retrieving.context_of([long, "more"], 100)
    assert not fits and len(context) < len(long) / 3
    context, fits = retrieving.context_of(["one two", "three four"], 100)
    assert fits and context == "one two three four"
    assert retrieving.context_of([], 100) == ("", True)


def test_the_ranking_that_knows_what_helps_gets_the_weight():
    """Helpful passages stand high by vectors and anywhere by words."""
    good = [Seen((20 + n, 1 + n % 3, 10), True) for n in range(12)]
    bad = [Seen((1 + n, 30 + n, 10), False) for n in range(12)]
    weights = retrieving.learn_weights([*good, *bad])
    assert weights is not None
    assert weights.nearest > 1 > weights.words
    assert sum(weights.rankings) == pytest.approx(3, abs=0.01)
    before = retrieving.pairs_right([*good, *bad], STANDARD)
    after = retrieving.pairs_right([*good, *bad], weights)
    assert before is not None and after is not None and after >= before and after == 1.0


def test_few_marks_of_one_kind_teach_nothing():
    assert retrieving.learn_weights([Seen((1, 1, 1), True)] * 30) is None
    assert retrieving.pairs_right([Seen((1, None, 2), True)], STANDARD) is None


def test_marks_count_by_their_weight():
    """Eight of a reader who marked one passage in eight answers are one."""
    good = [Seen((1, 1, 1), True, 1 / 8)] * 8
    bad = [Seen((5, 9, 9), False) for _ in range(8)]
    assert retrieving.counted([*good, *bad]) == (1, 8)
    assert retrieving.learn_weights([*good, *bad]) is None
    loud = [Seen((9, 1, 1), True, 1 / 8)] * 8
    marks = [*loud, *(Seen((1, 9, 9), True) for _ in range(7)), Seen((5, 5, 5), False, 0.5)]
    words = replace(STANDARD, words=1.0, nearest=0.0, coverage=0.0)
    assert retrieving.pairs_right(marks, words) == pytest.approx(7 / 8)
