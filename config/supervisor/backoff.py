"""How long to wait before a dead process is started again."""

from __future__ import annotations

BASE_SECONDS = 0.5
CAP_SECONDS = 30.0
# Who lived this long was not dying of its start: the count begins anew.
STEADY_SECONDS = 60.0


def restart_delay(failures: int, *, jitter: float) -> float:
    """Seconds to wait before the next start after ``failures`` deaths in a row.

    Doubles from half a second to thirty, spread over its upper half so that processes that died
    together do not come back together. ``jitter`` is the caller's draw from [0, 1).
    Raises ValueError if ``failures`` < 1.
    """
    if failures < 1:
        raise ValueError(f"failures must be at least 1, got {failures}")
    # The exponent is bounded: 2.0 ** 1100 overflows.
    whole = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(failures - 1, 16))
    return whole / 2 + whole / 2 * jitter


def failures_in_a_row(previous: int, *, lived_seconds: float) -> int:
    """The count of deaths after one more, by a process that lived this long."""
    return 1 if lived_seconds >= STEADY_SECONDS else previous + 1
