from __future__ import annotations

import json

from agents.domain import context


def test_a_result_that_fits_is_left_alone():
    value = {"a": [1, 2], "b": "text"}
    assert context.fit(value, 1000) is value
    assert not context.is_cut(value)


def test_a_long_list_is_cut_and_says_how_much_is_missing():
    cut = context.fit({"rows": list(range(5000))}, 2000)
    assert len(context.as_json(cut)) <= 2000
    assert cut["rows"][-1].endswith("of 5000")
    assert context.is_cut(cut)


def test_what_can_not_be_cut_nicely_is_cut_anyway_and_stays_json():
    cut = context.fit({f"key{n}": n for n in range(5000)}, 500)
    assert len(context.as_json(cut)) <= 600
    assert json.loads(context.as_json(cut))


def test_the_window_keeps_instructions_the_latest_and_no_orphaned_tool_result():
    talk = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "x" * 4000},
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "tool", "content": "y" * 40},
        {"role": "user", "content": "last"},
    ]
    kept = context.sliding_window(talk, 40)
    assert [m["role"] for m in kept] == ["system", "assistant", "tool", "user"]
    kept = context.sliding_window(talk, 22)
    assert [m["role"] for m in kept] == ["system", "user"]
