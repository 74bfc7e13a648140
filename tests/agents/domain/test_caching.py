from __future__ import annotations

from agents.domain.caching import Memory, jittered, key_of

SYSTEM = {"role": "system", "content": "Be brief."}


def key(**changes):
    given = {"installation": "i", "client_id": "c", "version_id": "v", "messages": [SYSTEM],
             "inputs": {"a": 1, "b": 2}}  # fmt: skip
    return key_of(**{**given, **changes})


def test_the_key_does_not_mind_the_order_of_inputs_or_white_space():
    assert key() == key(inputs={"b": 2, "a": 1})
    said = [SYSTEM, {"role": "user", "content": "How  are\nyou?"}]
    same = [SYSTEM, {"role": "user", "content": "How are you?"}]
    assert key(messages=said, inputs=None) == key(messages=same, inputs=None)


def test_the_key_holds_what_an_earlier_turn_called_and_was_told_to_the_letter():
    def turn(**changes):
        call = {"id": "1", "function": {"name": "sum", "arguments": '{"a": 1}'}}
        given = {"role": "assistant", "content": "So: 5.", "tool_calls": [call]}
        return key(messages=[SYSTEM, {**given, **changes}], inputs=None)

    called = {"id": "1", "function": {"name": "sum", "arguments": '{"a": 2}'}}
    assert len({turn(), turn(tool_calls=[called]), turn(content="So: 5")}) == 3


def test_the_key_holds_which_call_a_result_answers_whatever_their_ids():
    def told(first, second, ids=("a", "b")):
        calls = [{"id": one, "function": {"name": "rate", "arguments": f'{{"of": "{of}"}}'}}
                 for one, of in zip(ids, ("EUR", "GBP"), strict=True)]  # fmt: skip
        results = [{"role": "tool", "tool_call_id": one, "content": content}
                   for one, content in ((first, "1"), (second, "2"))]  # fmt: skip
        chat = [SYSTEM, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
        return key(messages=chat, inputs=None)

    assert told("a", "b") != told("b", "a")
    assert told("a", "b") == told("x", "y", ids=("x", "y"))
    assert told("a", "c") != told("a", "b")


def test_the_key_holds_tenant_version_prompt_and_question():
    other_prompt = [{"role": "system", "content": "Be long."}]
    changed = [
        key(client_id="d"), key(version_id="w"), key(inputs={"a": 1}), key(messages=other_prompt),
        key(limits=[5]), key(installation="j"),
    ]  # fmt: skip
    assert len({key(), *changed}) == 7


def test_the_longest_unused_goes_first():
    memory = Memory(2)
    memory.put("a", 1, until=10)
    memory.put("b", 2, until=10)
    memory.get("a", now=0)
    memory.put("c", 3, until=10)
    assert (memory.get("a", now=0), memory.get("b", now=0), memory.get("c", now=0)) == (1, None, 3)


def test_the_least_used_goes_first_under_lfu():
    memory = Memory(2, "lfu")
    memory.put("a", 1, until=10)
    memory.get("a", now=0)
    memory.get("a", now=0)
    memory.put("b", 2, until=10)
    memory.put("c", 3, until=10)
    assert (memory.get("a", now=0), memory.get("b", now=0)) == (1, None)


def test_nothing_is_given_after_its_time():
    memory = Memory(2)
    memory.put("a", 1, until=10)
    assert memory.get("a", now=10) is None
    assert len(memory) == 0


def test_expiry_is_spread_by_a_tenth_either_way():
    assert jittered(100, 0.0) == 90
    assert jittered(100, 0.5) == 100
