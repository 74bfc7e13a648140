from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agents.domain.scoring import Candidate, Needs, order, rendezvous

A = Candidate("a", "small", "light", 8000, frozenset({"tools"}), 100, 1, 0, 0.5, 0.0, Decimal(1))
B = replace(A, endpoint="b", price_usd=Decimal(2), latency_seconds=0.1)
STRONG = replace(A, endpoint="c", model="big", tier="strong", price_usd=Decimal("0.5"))
NEEDS = Needs("light", 1000, frozenset({"tools"}))


def names(found):
    return [c.endpoint for c in found]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("cheapest", ["a", "b", "c"]), ("fastest", ["b", "a", "c"])],
)
def test_a_policy_orders_equals_and_a_stronger_model_comes_after(policy, expected):
    assert names(order([B, STRONG, A], NEEDS, policy=policy)) == expected


def test_what_is_too_small_weak_or_unable_is_left_out():
    assert names(order([A, STRONG], Needs("strong", 1000))) == ["c"]
    assert order([A], Needs("light", 9000)) == []
    assert order([A], Needs("light", 10, frozenset({"vision"}))) == []


def test_an_open_breaker_sends_an_endpoint_to_the_end():
    assert names(order([replace(A, is_open=True), B, STRONG], NEEDS)) == ["b", "c", "a"]


def test_priority_goes_before_price():
    assert names(order([A, replace(B, priority=10)], NEEDS)) == ["b", "a"]


def test_round_robin_takes_turns():
    firsts = [order([A, B], NEEDS, policy="round_robin", turn=n)[0].endpoint for n in range(4)]
    assert firsts == ["a", "b", "a", "b"]


def test_weights_share_the_draws():
    heavy = replace(B, weight=3)
    firsts = [
        order([A, heavy], NEEDS, policy="weighted", draw=n / 100)[0].endpoint for n in range(100)
    ]
    assert firsts.count("b") == 75


def test_health_prefers_who_answers_fast_and_well():
    failing = replace(B, error_ratio=0.9)
    firsts = [
        order([A, failing], NEEDS, policy="health", draw=n / 100)[0].endpoint for n in range(100)
    ]
    assert firsts.count("b") < 10


def test_losing_an_endpoint_moves_only_its_own_sessions():
    names_ = ["a", "b", "c"]
    best = {s: max(names_, key=lambda e: rendezvous(s, e)) for s in map(str, range(300))}
    left = {s: max(["a", "b"], key=lambda e: rendezvous(s, e)) for s in best}
    assert all(left[s] == best[s] for s in best if best[s] != "c")
    assert 60 < sum(e == "c" for e in best.values()) < 140
