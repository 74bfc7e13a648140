"""Wide limits are taken in pieces: never more than they allow, and fewer questions to Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from scaling import limits

WIDE, NARROW = 2 * limits.LEASE_SHARE, limits.LEASE_SHARE


@pytest.fixture
def hits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What Redis was asked for, each time."""
    asked: list[int] = []
    real = limits._hit

    def hit(name: str, per_minute: int, kind: str, cost: int) -> Any:
        asked.append(cost)
        return real(name, per_minute, kind, cost)

    monkeypatch.setattr(limits, "_hit", hit)
    limits.forget()
    return asked


def test_a_wide_limit_lets_no_more_pass_than_it_says(hits: list[int]) -> None:
    name = f"wide {uuid4()}"
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: limits.take(name, per_minute=WIDE), range(WIDE + 200)))
    passed = told.count(None)
    assert WIDE - 8 <= passed <= WIDE
    assert hits.count(2) <= WIDE


def test_of_a_wide_limit_one_question_stands_for_several_calls(hits: list[int]) -> None:
    name = f"key {uuid4()}"
    for _ in range(30):
        assert limits.take(name, per_minute=30_000) is None
    assert hits == [15, 15]


def test_a_narrow_limit_is_asked_for_each_call(hits: list[int]) -> None:
    name = f"agent {uuid4()}"
    assert [limits.take(name, per_minute=2) is None for _ in range(3)] == [True, True, False]
    assert limits.take(name, per_minute=NARROW) is None
    assert hits == [1, 1, 1, 1]


def test_what_was_taken_long_ago_is_given_out_no_more(
    hits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LEASE_SECONDS", -1.0)
    name = f"old {uuid4()}"
    for _ in range(3):
        assert limits.take(name, per_minute=WIDE) is None
    assert hits == [2, 2, 2]
