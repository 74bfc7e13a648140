"""States of runs and steps, what may follow what, and how long to wait before another try."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """A run moves down this list; ``paused`` goes back to ``running``."""

    WAITING = "waiting"  # for a place under its concurrency limit
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"  # no new steps; running ones end, compensations run
    FAILING = "failing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL_RUN_STATES


class StepState(StrEnum):
    """``waiting`` is for a person, a signal, a time, a child run or the items of a fan-out."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  # by its own condition
    UNREACHABLE = "unreachable"  # what it needs can no longer be met
    CANCELLED = "cancelled"
    DEAD = "dead"  # given out too often, or its outcome is unknown: a person decides

    @property
    def is_final(self) -> bool:
        return self in FINAL_STEP_STATES


FINAL_RUN_STATES = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
FINAL_STEP_STATES = frozenset(
    {StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.UNREACHABLE,
     StepState.CANCELLED}
)  # fmt: skip

# On the way to an end: running steps are waited for, then compensations run.
STOPPING_STATES = frozenset({RunState.CANCELLING, RunState.FAILING})

# What a person may ask of a run, and the states in which the ask makes sense.
CONTROLS: dict[str, frozenset[RunState]] = {
    "cancel": frozenset({RunState.WAITING, RunState.RUNNING, RunState.PAUSED}),
    "pause": frozenset({RunState.RUNNING}),
    "resume": frozenset({RunState.PAUSED}),
    "retry": frozenset({RunState.FAILED, RunState.CANCELLED}),
    "fork": FINAL_RUN_STATES | {RunState.RUNNING, RunState.PAUSED},
    "signal": frozenset({RunState.WAITING, RunState.RUNNING, RunState.PAUSED}),
}


class Mode(StrEnum):
    """How many of its needs a step waits for."""

    ALL = "all"
    ANY = "any"
    AT_LEAST = "at_least"


def satisfies(outcome: StepState, *, continued: bool, mode: Mode, on_failure: bool) -> bool:
    """Whether a need that ended as ``outcome`` counts for a join.

    ``continued``: the need has ``on_error: continue``. ``on_failure``: the join waits for the
    need's failure (it is the target of a go-to). A skip by condition satisfies ``all``; ``any``
    and ``at_least`` count successes only.
    """
    if on_failure:
        return outcome is StepState.FAILED
    if outcome is StepState.SUCCEEDED:
        return True
    if mode is not Mode.ALL:
        return False
    return outcome is StepState.SKIPPED or (outcome is StepState.FAILED and continued)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a failed attempt is tried again. ``on`` empty means retryable errors."""

    max_attempts: int = 3
    backoff_seconds: float = 1.0
    on: frozenset[str] = frozenset()

    def allows(self, *, attempt: int, code: str, retryable: bool) -> bool:
        """Whether attempt ``attempt`` (from 1), failed with ``code``, is followed by another."""
        if attempt >= self.max_attempts:
            return False
        return code in self.on if self.on else retryable


# A longer wait than this would outlive the broker's patience; sweeps carry it instead.
RETRY_CAP_SECONDS = 300.0


def retry_delay(attempt: int, *, base_seconds: float, cap_seconds: float, jitter: float) -> float:
    """Seconds to wait before try ``attempt + 1``: capped exponential, full jitter.

    ``attempt`` counts from 1; ``jitter`` is the caller's draw from [0, 1).
    Raises ValueError if ``attempt`` < 1.
    Source: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    if attempt < 1:
        raise ValueError(f"attempt counts from 1, got {attempt}")
    return jitter * min(cap_seconds, base_seconds * 2.0 ** min(attempt - 1, 40))


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration_seconds(text: str | int | float) -> float:
    """``"90s"``, ``"5m"``, ``"2h"``, ``"60d"``, ``"250ms"`` or seconds as a number, in seconds.

    Raises ValueError for anything else and for what is not positive or over ten years.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is no duration; write 30s, 5m, 2h or 3d")
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        digits = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = text.strip()[len(digits) :]
        try:
            seconds = float(digits) * _UNITS[unit or "s"]
        except (ValueError, KeyError):
            raise ValueError(f"{text!r} is no duration; write 30s, 5m, 2h or 3d") from None
    if not 0 < seconds <= 10 * 366 * 86400:
        raise ValueError(f"{text!r}: a duration is more than 0 and at most ten years")
    return seconds
