"""Whether a user does what that user never did: decisions over counts that were given."""

from __future__ import annotations

from collections.abc import Sequence

# Fewer calls an hour are nobody's attack, whatever the past looked like.
FLOOR = 100
# So many times the busiest hour of the past week.
TIMES = 5.0
# Somebody without a past may be new, or a program that was just set up.
FLOOR_OF_STRANGERS = 300
# Calls that guardrails blocked within the hour: somebody is trying.
BLOCKED = 10


def why_unusual(calls: int, blocked: int, past_hours: Sequence[float]) -> str:
    """What is unusual about the last hour, in words; empty when nothing is.

    ``past_hours`` are the calls of each hour of the week before, zeros included.
    """
    if blocked >= BLOCKED:
        return f"{blocked} calls blocked by guardrails in an hour; {BLOCKED} are too many"
    busiest = max(past_hours, default=0.0)
    if not busiest:
        limit = float(FLOOR_OF_STRANGERS)
        return f"{calls} calls in a first hour; limit {limit:g}" if calls > limit else ""
    limit = max(float(FLOOR), TIMES * busiest)
    if calls <= limit:
        return ""
    return f"{calls} calls in an hour; the busiest of the last week had {busiest:g}"
