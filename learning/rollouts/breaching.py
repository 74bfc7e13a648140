"""When a rollout's harm first showed in what its arms met."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

# How finely a breach is dated: to a second within twelve days; a longer span as often halved.
HALVINGS = 20
FINEST = timedelta(seconds=1)


def first_breach(
    since: datetime, until: datetime, *, is_breached: Callable[[datetime], bool]
) -> datetime:
    """The earliest moment in (since, until] at which the outcomes so far say harm.

    ``is_breached`` judges the units that came before a moment. It held at ``until``, and not yet at
    the look before, ``since``; what lies between is halved until it is a second.
    """
    low, high = since, until
    for _ in range(HALVINGS):
        if high - low <= FINEST:
            break
        middle = low + (high - low) / 2
        if is_breached(middle):
            high = middle
        else:
            low = middle
    return high
