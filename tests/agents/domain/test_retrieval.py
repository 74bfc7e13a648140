from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise

import pytest

from agents.domain import chunking, retrieval
from agents.domain.chunking import MIN_TOKENS, Block, chunks
from agents.domain.retrieval import (
    DIMENSIONS,
    Standing,
    by_coverage,
    cited,
    fitted,
    fuse,
    pack,
    weight,
)

TODAY = date(2026, 11, 20)


def test_what_both_rankings_hold_beats_the_first_of_one() -> None:
    scores = fuse([["a", "b"], ["c", "b"]])
    assert max(scores, key=scores.__getitem__) == "b"
    assert scores["a"] == scores["c"] == 1 / 61


def test_a_rare_word_counts_more_than_a_frequent_one() -> None:
    texts = {1: "tax tax tax on income", 2: "tax on goodwill", 3: "tax on wages"}
    assert by_coverage("tax on goodwill", texts)[0] == 2
    assert by_coverage("nothing here", {1: "cats"}) == []


def test_fresh_and_helpful_weigh_more_but_never_by_much() -> None:
    plain = weight(Standing(), TODAY)
    assert plain == 1
    assert weight(Standing(as_of=TODAY), TODAY) > plain
    assert weight(Standing(as_of=TODAY - timedelta(days=7300)), TODAY) < plain
    assert weight(Standing(helpful=1), TODAY) > plain > weight(Standing(unhelpful=1), TODAY)
    worst = weight(Standing(date(1990, 1, 1), 0, 10_000), TODAY)
    assert 0.6 < worst < weight(Standing(TODAY, 10_000, 0), TODAY) < 1.5


def test_one_mark_never_outweighs_a_place_and_many_alike_do() -> None:
    ranking = [f"p{place}" for place in range(1, 8)]  # the places that a context has room for
    scores = fuse([ranking, ranking, ranking])

    def first_place_of(key: str, standing: Standing) -> int:
        marked = {one: scores[one] * weight(standing if one == key else Standing(), TODAY)
                  for one in ranking}  # fmt: skip
        return sorted(ranking, key=lambda one: -marked[one]).index(key) + 1

    for place, key in enumerate(ranking, start=1):
        assert first_place_of(key, Standing(helpful=1)) == place
        assert first_place_of(key, Standing(unhelpful=1)) == place
        assert first_place_of(key, Standing(helpful=1, unhelpful=1)) == place
    assert first_place_of("p4", Standing(helpful=10)) == 1
    assert first_place_of("p1", Standing(unhelpful=10)) > 4


def test_a_context_takes_the_best_passages_that_fit_and_always_one() -> None:
    assert pack(["a" * 40, "b" * 40, "c" * 40], max_tokens=20, limit=9) == 2
    assert pack(["a" * 400], max_tokens=20, limit=9) == 1
    assert pack(["a", "b", "c"], max_tokens=20, limit=2) == 2
    assert pack([], max_tokens=20, limit=2) == 0


def test_a_citation_says_whether_the_answer_names_it() -> None:
    passages = [{"number": 1}, {"number": 2}]
    assert [one["cited"] for one in cited("So it is [2].", passages)] == [False, True]


@pytest.mark.parametrize("size", [3, DIMENSIONS, 1536])
def test_vectors_of_any_length_become_unit_vectors_with_their_angles(size: int) -> None:
    first = [math.sin(i) for i in range(size)]
    near = [math.sin(i) + 0.1 * math.cos(7 * i) for i in range(size)]
    far = [math.cos(13 * i * i) for i in range(size)]
    a, b, c = fitted(first), fitted(near), fitted(far)
    assert len(a) == DIMENSIONS
    assert math.isclose(sum(x * x for x in a), 1.0)
    assert sum(x * y for x, y in zip(a, b, strict=True)) > 0.9
    assert sum(x * y for x, y in zip(a, c, strict=True)) < 0.9


def test_passages_keep_every_word_in_order_and_stay_within_their_size() -> None:
    words = [f"word{i}" for i in range(600)]
    sentences = [" ".join(words[i : i + 12]).capitalize() + "." for i in range(0, 600, 12)]
    cut = chunks([Block(" ".join(sentences), "Title", 3)], max_tokens=100)
    assert " ".join(c.text for c in cut) == " ".join(sentences)
    assert all(c.tokens <= 100 + MIN_TOKENS for c in cut)
    assert [c.number for c in cut] == list(range(1, len(cut) + 1))
    assert {(c.heading, c.page) for c in cut} == {("Title", 3)}


def test_a_text_without_stops_is_cut_between_words() -> None:
    cut = chunks([Block("figure " * 3000)])
    assert len(cut) > 1
    assert all(c.tokens < 600 for c in cut)
    assert set(" ".join(c.text for c in cut).split()) == {"figure"}


def test_a_cut_runs_over_headings_and_begins_with_the_end_of_the_one_before():
    blocks = [Block(" ".join(f"Sentence {n} has six words." for n in range(a, a + 10)), f"H{a}")
              for a in (0, 10, 20)]  # fmt: skip
    cut = chunking.Cut(80, 20)
    made = chunking.windows(blocks, cut)
    assert [one.number for one in made] == list(range(1, len(made) + 1))
    assert all(one.tokens <= 80 for one in made)
    assert made[0].heading == "H0" and "H10" in " ".join(one.text for one in made)
    for before, after in pairwise(made):
        first = after.text.split(".")[0]
        assert first in before.text
    told = " ".join(one.text for one in made)
    assert all(f"Sentence {n} has" in told for n in range(30))


def test_without_overlap_every_sentence_stands_once():
    text = " ".join(f"Sentence {n} has six words." for n in range(40))
    made = chunking.windows([Block(text)], chunking.Cut(64, 0))
    assert " ".join(one.text for one in made) == text
    assert chunking.windows([], chunking.Cut(64, 0)) == []


@pytest.mark.parametrize("name", ["", "512", "16/0", "512/300", "9999/0", "512/-1"])
def test_a_cut_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="need"):
        chunking.cut_named(name)


def test_weights_count_rankings_and_odd_ones_are_refused():
    near = retrieval.weights_from({"nearest": 3, "words": 0})
    scores = retrieval.fuse([["a", "b"], ["b", "a"], []], weights=near.rankings)
    assert scores["b"] > scores["a"]
    for bad in ({"words": -1}, {"odd": 1}, {"marks": 1}, {"words": True},
                {"words": 0, "nearest": 0, "coverage": 0}):  # fmt: skip
        with pytest.raises(ValueError, match=r"need|unknown"):
            retrieval.weights_from(bad)
