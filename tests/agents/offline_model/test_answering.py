"""How the offline model answers: tools by name, then words; always the same for the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from agents.domain.grading import grade
from agents.offline_model.answering import Behaviour, Reply, answer

PLAN = {
    "type": "function",
    "function": {
        "name": "plan",
        "description": "Materiality and hours of an engagement.",
        "parameters": {
            "type": "object",
            "required": ["revenue", "year"],
            "properties": {
                "revenue": {"type": "number"},
                "year": {"type": "integer"},
                "rate": {"type": "number", "maximum": 1},
                "risk": {"$ref": "#/$defs/Risk"},
            },
            "$defs": {"Risk": {"enum": ["low", "high"], "type": "string"}},
        },
    },
}
SAMPLE = {
    "type": "function",
    "function": {
        "name": "sample",
        "parameters": {
            "type": "object",
            "required": ["materiality"],
            "properties": {"materiality": {"type": "number"}},
        },
    },
}
RESULTS = {
    "plan": {"materiality": 1250.5, "planned_hours": 41.25, "conclusion": "low risk overall"},
    "sample": {"sample_size": 77, "rows": [{"account": "4000", "amount": 12.5}]},
}


def converse(said: str | list[dict[str, Any]], **options: Any) -> tuple[list[str], str]:
    """The tools called, in order, and the final text."""
    behaviour = options.pop("behaviour", Behaviour())
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
    called = []
    for _round in range(6):
        request = {"messages": messages, "tools": [PLAN, SAMPLE], **options}
        reply = answer(request, behaviour, seed=3)
        if not reply.tool_calls:
            return called, reply.text
        messages.append(
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": c.id, "function": {"name": c.name, "arguments": c.arguments}}
                    for c in reply.tool_calls
                ],
            }
        )
        for call in reply.tool_calls:
            called.append(f"{call.name} {call.arguments}")
            content = json.dumps(RESULTS[call.name])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    raise AssertionError("no answer")


def first_call(said: str, tools: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    request = {"messages": [{"role": "user", "content": said}], "tools": tools or [PLAN]}
    reply = answer(request, Behaviour(), seed=0)
    assert reply.tool_calls, reply.text
    return json.loads(reply.tool_calls[0].arguments)


def test_tools_are_called_as_soon_as_their_required_values_are_known():
    called, text = converse('{"revenue": 100.5, "year": 2025}')
    assert called == ['plan {"revenue": 100.5, "year": 2025}', 'sample {"materiality": 1250.5}']
    facts = [{"number": n} for n in (1250.5, 41.25, 77, 12.5)]
    assert grade(text, [*facts, {"text": "planned hours: 41.25"}]).passed
    assert text.startswith("Conclusion: low risk overall.")


@pytest.mark.parametrize(
    "said",
    [
        '{"revenue": 1250000, "year": 2025, "rate": 0.25, "risk": "low"}',
        'Go:\n```json\n{"revenue": 1250000, "year": 2025, "rate": 0.25, "risk": "low"}\n```',
        "Revenue: 1,250,000\nyear = 2025\n- rate: 25 %\nrisk: Low",
        "Plan 2025 with revenue of EUR 1 250 000, a rate of 25 % and low risk.",
    ],
)
def test_values_are_read_from_json_lines_and_sentences(said):
    expected = {"revenue": 1250000, "year": 2025, "rate": 0.25, "risk": "low"}
    assert first_call(said) == expected


def test_a_string_of_json_stays_one_where_the_schema_allows_it():
    account = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    schema = {"type": "object", "required": ["account"], "properties": {"account": account}}
    tool = {"type": "function", "function": {"name": "look_up", "parameters": schema}}
    assert first_call('{"account": "0400"}', [tool]) == {"account": "0400"}


def test_an_ambiguous_number_is_asked_for_and_not_guessed():
    _called, text = converse("Was the revenue 5000 or was the revenue 6000 in 2025?")
    assert "revenue" in text


def test_what_is_missing_is_asked_for_by_name():
    called, text = converse("revenue: 5")
    assert called == []
    assert "year" in text
    assert "revenue" not in text


def test_a_follow_up_uses_what_was_said_before():
    earlier = [
        {"role": "user", "content": '{"revenue": 100, "year": 2025}'},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "And if the revenue is 200?"},
    ]
    called, _text = converse(earlier)
    assert called[0] == 'plan {"revenue": 200, "year": 2025}'


def test_without_tools_passages_are_quoted_with_their_number():
    passages = (
        "[1] Revenue is recognised when control passes to the customer. Cash does not matter.\n"
        "[2] Leases of low value need not be capitalised.\n\n"
    )
    messages = [{"role": "user", "content": passages + "When is revenue recognised?"}]
    text = answer({"messages": messages}, Behaviour(), seed=0).text
    assert text == "Revenue is recognised when control passes to the customer. [1]"
    messages = [{"role": "user", "content": passages + "Who won the chess match?"}]
    assert "do not answer" in answer({"messages": messages}, Behaviour(), seed=0).text


def test_without_tools_or_passages_it_says_what_it_is():
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    assert "offline model" in answer({"messages": messages}, Behaviour(), seed=0).text


SCHEMA = {
    "type": "object",
    "required": ["materiality", "risk", "opinion", "rows", "absent", "flag"],
    "additionalProperties": False,
    "properties": {
        "materiality": {"type": "number"},
        "risk": {"enum": ["high", "low"]},
        "opinion": {"type": "string"},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}},
        "absent": {"type": ["integer", "null"]},
        "flag": {"type": "boolean"},
        "hours_planned": {"type": "number"},
        "unknown": {"type": "string"},
    },
    "$defs": {
        "Row": {
            "type": "object",
            "required": ["account", "amount"],
            "properties": {"account": {"type": "string"}, "amount": {"type": "number"}},
        }
    },
}


def test_a_schema_is_filled_by_name_and_type_with_all_that_is_required():
    wanted = {"type": "json_schema", "json_schema": {"name": "plan", "schema": SCHEMA}}
    _called, text = converse('{"revenue": 1, "year": 2025}', response_format=wanted)
    assert json.loads(text) == {
        "materiality": 1250.5,
        "risk": "low",
        "opinion": "low risk overall",
        "rows": [{"account": "4000", "amount": 12.5}],
        "absent": None,
        "flag": False,
        "hours_planned": 41.25,
    }


def test_a_json_object_is_what_the_tools_found():
    _called, text = converse('{"revenue": 1, "year": 2}', response_format={"type": "json_object"})
    assert json.loads(text)["sample_size"] == 77


def test_forced_and_forbidden_tools_are_obeyed():
    request = {"messages": [{"role": "user", "content": "hello"}], "tools": [PLAN, SAMPLE]}
    assert not answer({**request, "tool_choice": "none"}, Behaviour(), seed=0).tool_calls
    forced = {"type": "function", "function": {"name": "sample"}}
    calls = answer({**request, "tool_choice": forced}, Behaviour(), seed=0).tool_calls
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [("sample", {"materiality": 0})]


def test_tools_are_called_side_by_side_unless_that_is_forbidden():
    said = '{"revenue": 1, "year": 2025, "materiality": 5}'
    request = {"messages": [{"role": "user", "content": said}], "tools": [PLAN, SAMPLE]}
    assert len(answer(request, Behaviour(), seed=0).tool_calls) == 2
    alone = {**request, "parallel_tool_calls": False}
    assert len(answer(alone, Behaviour(), seed=0).tool_calls) == 1


def test_a_wrong_answer_is_wrong_in_every_figure_and_verdict():
    right = converse('{"revenue": 1, "year": 2025}')[1]
    wrong = converse('{"revenue": 1, "year": 2025}', behaviour=Behaviour(accuracy_ratio=0.0))[1]
    for fact in ({"number": 1250.5}, {"number": 41.25}, {"number": 77}, {"text": "low risk"}):
        assert grade(right, [fact]).passed
        assert not grade(wrong, [fact]).passed, wrong


def test_the_share_of_wrong_answers_is_the_stated_one():
    def right(n: int) -> bool:
        said = json.dumps({"revenue": n, "year": 2025})
        return grade(converse(said, behaviour=Behaviour(accuracy_ratio=0.8))[1], FACT).passed

    assert 0.76 < sum(map(right, range(600))) / 600 < 0.84


FACT = [{"number": 1250.5}]


def test_the_same_question_has_the_same_answer_in_another_process():
    script = (
        "from agents.offline_model.answering import *\n"
        "from tests.agents.offline_model.test_answering import converse\n"
        'print(converse(\'{"revenue": 1, "year": 2025}\', behaviour=Behaviour(0.5))[1])'
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    here = converse('{"revenue": 1, "year": 2025}', behaviour=Behaviour(0.5))[1]
    assert told.stdout.rstrip("\n") == here


def test_verbosity_changes_length_and_not_facts():
    lengths = []
    for verbosity in ("terse", "normal", "verbose"):
        text = converse('{"revenue": 1, "year": 2}', behaviour=Behaviour(verbosity=verbosity))[1]
        assert grade(text, FACT).passed
        lengths.append(len(text))
    assert lengths == sorted(set(lengths))


def test_a_long_list_is_cut_with_its_count(monkeypatch):
    monkeypatch.setitem(RESULTS, "sample", {"rows": [{"n": n} for n in range(40)]})
    _called, text = converse('{"revenue": 1, "year": 2025}')
    assert "  25. n: 24" in text
    assert "26." not in text
    assert "15 more of 40" in text


def test_a_tools_error_is_told_as_such(monkeypatch):
    monkeypatch.setitem(RESULTS, "sample", {"error": {"code": "x", "message": "too large"}})
    assert "could not be done: too large" in converse('{"revenue": 1, "year": 2025}')[1].lower()


def test_a_reply_is_either_text_or_calls():
    assert Reply(text="a").tool_calls == ()
