"""Tokens a minute that are known only afterwards, over a real Redis."""

from __future__ import annotations

from scaling import allowance


def test_a_burst_owes_five_minutes_at_the_most() -> None:
    assert allowance.wait_seconds("agent:burst", per_minute=6000) is None
    for _ in range(256):
        allowance.spend("agent:burst", per_minute=6000, count=20_000)
    wait = allowance.wait_seconds("agent:burst", per_minute=6000)
    assert wait is not None and 290 <= wait <= 301
    # Under a higher limit the debt is worked off faster.
    assert (allowance.wait_seconds("agent:burst", per_minute=600_000) or 0) <= 4
