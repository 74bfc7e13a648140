from __future__ import annotations

import pytest

from learning.domain import reflection
from learning.domain.reflection import Reason, Source

PROMPT = "You audit{% if client %} {{ client }}{% endif %}.\nBe exact.\n"


def test_the_front_keeps_whoever_is_best_on_some_case():
    scores = {"base": [0.0, 1.0, 0.5], "a": [1.0, 0.0, 0.5], "b": [0.5, 0.5, 0.9]}
    assert reflection.front(scores) == {"base": (1,), "a": (0,), "b": (2,)}


def test_who_is_beaten_everywhere_or_told_twice_is_left_out():
    scores = {"base": [0.0, 0.5], "a": [1.0, 0.5], "twin": [1.0, 0.5], "low": [0.9, 0.4]}
    assert reflection.front(scores) == {"a": (0, 1)}
    with pytest.raises(ValueError, match="same cases"):
        reflection.front({"a": [1.0], "b": []})


@pytest.mark.parametrize(("draw", "name"), [(0.0, "a"), (0.74, "a"), (0.76, "b"), (0.99, "b")])
def test_a_parent_is_drawn_as_often_as_it_is_best(draw, name):
    assert reflection.parent({"a": (0, 1, 2), "b": (3,)}, draw) == name


def test_lessons_say_the_way_and_never_a_cases_own_figures():
    found = reflection.lessons(
        [
            Reason("number 412.5", Source.CASE),
            Reason("number 7", Source.CASE),
            Reason("text 'the loan is impaired'", Source.CASE),
            Reason("the rate is 19 %, not {{ 7 }}", Source.CORRECTION),
            Reason("", Source.COMPLAINT),
        ]
    )
    assert "each figure" in found[0]  # twice, so first
    told = " ".join(found)
    assert "412" not in told and "impaired" not in told and "19" not in told and "{" not in told
    assert len(found) == 3


def test_a_rewriting_keeps_older_lessons_and_the_template():
    once = reflection.rewritten(PROMPT, ["One."])
    twice = reflection.rewritten(once, ["Two.", "One."])
    assert twice.count(reflection.HEADING) == 1
    assert twice.endswith("- One.\n- Two.\n")
    assert twice.startswith(PROMPT.rstrip())
    assert reflection.rewritten(PROMPT, []) == PROMPT


def test_two_that_added_are_merged_and_a_compressed_one_is_not():
    one, two = f"{PROMPT}\nA.\n", f"{PROMPT}\nB.\n"
    assert reflection.merged(PROMPT, one, two) == f"{PROMPT.rstrip()}\n\nA.\n\nB.\n"
    assert reflection.merged(PROMPT, one, "Be exact.") is None
    assert reflection.merged(PROMPT, one, PROMPT) is None


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("", "empty"),
        (PROMPT, "changes nothing"),
        ("Audit exactly.", "lost"),
        (f"{PROMPT} {{{{ secret }}}}", "adds template code"),
        (PROMPT + "x" * 2000, "times as long"),
        (f"{PROMPT}Name the rate first.", ""),
    ],
)
def test_a_models_rewriting_is_checked_before_it_is_tried(after, why):
    found = reflection.fault_in(PROMPT, after, ["client"])
    assert (why in found) if why else found == ""
