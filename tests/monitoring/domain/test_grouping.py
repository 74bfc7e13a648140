"""Alerts with one cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.domain.grouping import PLATFORM, Symptom, causes, is_failing

T = datetime(2026, 11, 20, 12, tzinfo=UTC)


def of(agent: str, minute: float = 0, scope: str = "agent") -> Symptom:
    return Symptom(f"{scope}-{agent}", scope, agent, T + timedelta(minutes=minute))


ON = {f"a{n}": "one" for n in range(10)} | {f"b{n}": "two" for n in range(10)} | {
    f"c{n}": "three" for n in range(10)
}  # fmt: skip


def test_one_agent_stands_alone() -> None:
    assert causes([of("a1")], ON) == {"agent-a1": "agent:a1"}


def test_several_agents_of_one_endpoint_blame_the_endpoint() -> None:
    found = causes([of("a1"), of("a2", 2), of("a3", 4), of("b1")], ON)
    assert set(found.values()) == {"endpoint:one", "agent:b1"}


def test_two_agents_of_an_endpoint_that_fails_itself_blame_it_and_else_stand_alone() -> None:
    two = [of("a1"), of("a2", 2)]
    assert set(causes(two, ON).values()) == {"agent:a1", "agent:a2"}
    assert set(causes(two, ON, failing=frozenset({"one"})).values()) == {"endpoint:one"}
    assert set(causes(two, ON, failing=frozenset({"two"})).values()) == {"agent:a1", "agent:a2"}
    apart = [of("a1"), of("a2", 30)]
    found = causes(apart, ON, failing=frozenset({"one"}))
    assert set(found.values()) == {"agent:a1", "agent:a2"}
    assert causes([of("a1")], ON, failing=frozenset({"one"})) == {"agent-a1": "agent:a1"}


@pytest.mark.parametrize(("calls", "without_answer", "expected"), [
    (100, 50, True), (100, 49, False), (5, 5, True), (4, 4, False), (0, 0, False),
])  # fmt: skip
def test_an_endpoint_fails_when_half_of_enough_calls_get_no_answer(
    calls: float, without_answer: float, expected: bool
) -> None:
    assert is_failing(calls, without_answer) is expected


def test_alerts_that_are_far_apart_are_not_one_outage() -> None:
    found = causes([of("a1"), of("a2", 30), of("a3", 60)], ON)
    assert set(found.values()) == {"agent:a1", "agent:a2", "agent:a3"}


def test_two_alerts_of_one_agent_count_once() -> None:
    twice = [Symptom(str(n), "agent", "a1", T) for n in range(5)]
    assert set(causes(twice, ON).values()) == {"agent:a1"}


def test_an_alert_of_the_endpoint_itself_takes_its_agents_along() -> None:
    found = causes([of("a1"), of("one", 1, "endpoint")], ON)
    assert set(found.values()) == {"endpoint:one"}


def test_a_late_agent_joins_the_open_incident_of_its_endpoint() -> None:
    assert causes([of("a7", 90)], ON, frozenset({"endpoint:one"})) == {"agent-a7": "endpoint:one"}


def test_several_endpoints_at_once_are_the_platform() -> None:
    symptoms = [of(f"{letter}{n}") for letter in "abc" for n in range(3)]
    assert set(causes(symptoms, ON).values()) == {PLATFORM}


BY = {"one": "p.example", "two": "p.example", "three": "q.example"}


def test_two_endpoints_of_one_provider_blame_the_provider() -> None:
    symptoms = [of(f"{letter}{n}") for letter in "ab" for n in range(3)]
    assert set(causes(symptoms, ON, provider_of=BY).values()) == {"provider:p.example"}
    both = [of("one", 0, "endpoint"), of("two", 5, "endpoint"), of("", 1, "all")]
    assert set(causes(both, ON, provider_of=BY).values()) == {"provider:p.example"}
    apart = [of("one", 0, "endpoint"), of("two", 50, "endpoint")]
    assert set(causes(apart, ON, provider_of=BY).values()) == {"endpoint:one", "endpoint:two"}
    strangers = [of("one", 0, "endpoint"), of("three", 0, "endpoint")]
    assert set(causes(strangers, ON, provider_of=BY).values()) == {"endpoint:one", "endpoint:three"}


def test_a_late_agent_joins_the_open_incident_of_its_provider() -> None:
    open_ = frozenset({"provider:p.example"})
    assert causes([of("a7", 90)], ON, open_, BY) == {"agent-a7": "provider:p.example"}
    assert causes([of("c7", 90)], ON, open_, BY) == {"agent-c7": "agent:c7"}


def test_what_depends_on_no_endpoint_keeps_its_own_cause() -> None:
    found = causes([of("annual_audit", 0, "workflow"), of("", 0, "all")], ON)
    assert found == {"workflow-annual_audit": "workflow:annual_audit", "all-": "all"}


def test_sweeps_and_queues_that_stand_still_are_one_thing_whatever_else_fails() -> None:
    found = causes([of("queue low", 0, "all"), of("queue high", 1, "all"), of("b1", 1)], ON)
    assert sorted(set(found.values())) == ["agent:b1", "all:sweeps"]


def test_a_wide_alert_is_told_with_the_narrow_one_that_began_with_it() -> None:
    wide = [of("", 2, "all"), of("annual_audit", 3, "workflow")]
    found = causes([of("one", 0, "endpoint"), of("b1"), *wide], ON)
    assert (found["all-"], found["workflow-annual_audit"]) == ("endpoint:one", "endpoint:one")
    assert causes([of("b1"), *wide], ON)["all-"] == "agent:b1"
    assert causes([of("a1"), of("b1"), *wide], ON)["all-"] == "all"  # which of them?
    assert causes([of("b1", -60), *wide], ON)["all-"] == "all"


def alike(agent: str, minute: float = 0, *, way: str = "timeout", held: str = "") -> Symptom:
    at = T + timedelta(minutes=minute)
    return Symptom(f"agent-{agent}", "agent", agent, at, held=held, fingerprint=way)


def test_many_agents_that_no_endpoint_explains_and_that_fail_alike_have_one_cause() -> None:
    many = [alike(f"x{n}", n) for n in range(6)]
    assert set(causes(many, {}).values()) == {"alike:timeout"}
    assert set(causes(many, {f"x{n}": f"e{n}" for n in range(6)}).values()) == {"alike:timeout"}
    assert len(set(causes(many[:4], {}).values())) == 4
    apart = [alike(f"x{n}", 11 * n) for n in range(6)]
    assert len(set(causes(apart, {}).values())) == 6
    mixed = [alike(f"x{n}", way=f"w{n}") for n in range(6)]
    assert len(set(causes(mixed, {}).values())) == 6
    of_one = causes([alike(f"a{n}") for n in range(6)], ON)
    assert set(of_one.values()) == {"endpoint:one"}


def test_who_fails_alike_soon_afterwards_joins_the_open_incident_and_the_rest_stay_in_it() -> None:
    open_ = frozenset({"alike:timeout"})
    two = [alike(f"x{n}", held="alike:timeout") for n in range(2)]
    found = causes([*two, alike("y", 59), alike("z", 61), alike("v", way="other")], {}, open_)
    assert {key: found[f"agent-{key}"] for key in ("x0", "x1", "y", "z", "v")} == {
        "x0": "alike:timeout", "x1": "alike:timeout", "y": "alike:timeout",
        "z": "agent:z", "v": "agent:v",
    }  # fmt: skip


def test_who_failed_alike_long_before_or_fails_so_long_after_is_no_part_of_a_burst() -> None:
    burst = [alike(f"x{n}", n) for n in range(6)]
    before, after = alike("old", -3 * 24 * 60, held="agent:old"), alike("new", 2 * 24 * 60)
    found = causes([*burst, before, after], {}, frozenset({"agent:old"}))
    assert (found["agent-old"], found["agent-new"]) == ("agent:old", "agent:new")
    assert {found[one.alert_id] for one in burst} == {"alike:timeout"}
    open_ = frozenset({"alike:timeout"})
    held = [alike(f"x{n}", n, held="alike:timeout") for n in range(6)]
    assert causes([*held, after], {}, open_)["agent-new"] == "agent:new"
    twice = [alike("x0", n / 10) for n in range(6)]
    assert set(causes(twice, {}).values()) == {"agent:x0"}  # one agent, however often
