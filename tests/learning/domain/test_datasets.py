from __future__ import annotations

import json

from learning.domain.datasets import Lesson, as_lines, build, card
from learning.domain.probes import LeakRate

LESSONS = [Lesson("Be exact.", f"question {n}", f"answer {n}", "correction") for n in range(20)]


def test_lines_are_the_chat_format():
    first = json.loads(as_lines(LESSONS).splitlines()[0])
    assert [m["role"] for m in first["messages"]] == ["system", "user", "assistant"]
    assert first["messages"][2]["content"] == "answer 0"


def test_no_question_is_on_both_sides():
    twice = [*LESSONS, *(Lesson("Be exact.", x.question, "another", "case") for x in LESSONS)]
    made = build(twice, validation_ratio=0.25, seed="s")
    assert len(made.validation) == 10
    assert not {x.question for x in made.training} & {x.question for x in made.validation}
    assert made.digest == build(twice, validation_ratio=0.25, seed="s").digest


def test_the_card_states_split_leaks_and_what_was_left_out():
    about = {"agent": "a", "version": 3, "seed": "s", "made_at": "2026-11-20"}
    text = card(build(LESSONS, validation_ratio=0.2, seed="s"), about=about,
                leaks=LeakRate(100, 1), refused={"duplicates": 2})  # fmt: skip
    assert "Training 16, validation 4" in text
    assert "1 of 100 planted" in text
    assert "2 duplicates" in text
