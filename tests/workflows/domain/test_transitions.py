"""States, joins, retries and durations as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.transitions import (
    CONTROLS,
    Mode,
    Retry,
    RunState,
    StepState,
    duration_seconds,
    retry_delay,
    satisfies,
)


@pytest.mark.parametrize(
    ("outcome", "continued", "mode", "met"),
    [
        (StepState.SUCCEEDED, False, Mode.ALL, True),
        (StepState.SUCCEEDED, False, Mode.ANY, True),
        (StepState.SKIPPED, False, Mode.ALL, True),
        (StepState.SKIPPED, False, Mode.ANY, False),
        (StepState.SKIPPED, False, Mode.AT_LEAST, False),
        (StepState.FAILED, True, Mode.ALL, True),
        (StepState.FAILED, False, Mode.ALL, False),
        (StepState.FAILED, True, Mode.AT_LEAST, False),
        (StepState.UNREACHABLE, False, Mode.ALL, False),
        (StepState.UNREACHABLE, True, Mode.ALL, False),
        (StepState.CANCELLED, True, Mode.ALL, False),
    ],
)
def test_what_counts_for_a_join(outcome: StepState, continued: bool, mode: Mode, met: bool) -> None:
    assert satisfies(outcome, continued=continued, mode=mode, on_failure=False) is met


@pytest.mark.parametrize("outcome", list(StepState))
def test_a_handler_waits_for_a_failure_and_nothing_else(outcome: StepState) -> None:
    met = satisfies(outcome, continued=True, mode=Mode.ANY, on_failure=True)
    assert met is (outcome is StepState.FAILED)


@pytest.mark.parametrize(
    ("retry", "attempt", "code", "retryable", "again"),
    [
        (Retry(), 1, "unavailable", True, True),
        (Retry(), 3, "unavailable", True, False),
        (Retry(), 1, "invalid_input", False, False),
        (Retry(on=frozenset({"timeout"})), 1, "unavailable", True, False),
        (Retry(on=frozenset({"odd"})), 1, "odd", False, True),
        (Retry(max_attempts=1), 1, "unavailable", True, False),
    ],
)
def test_which_failures_are_tried_again(
    retry: Retry, attempt: int, code: str, retryable: bool, again: bool
) -> None:
    assert retry.allows(attempt=attempt, code=code, retryable=retryable) is again


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_within_its_cap_and_never_negative(attempt: int, jitter: float) -> None:
    wait = retry_delay(attempt, base_seconds=2, cap_seconds=300, jitter=jitter)
    assert 0 <= wait <= min(300, 2 * 2 ** (attempt - 1))


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="got 0"):
        retry_delay(0, base_seconds=1, cap_seconds=1, jitter=0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("90s", 90), ("5m", 300), ("2h", 7200), ("1.5d", 129600), (7, 7), ("7", 7)],
)
def test_durations_are_read(text: str | int, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "0", 0, True, "1y", "11000d", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_seconds(text)


def test_nothing_is_asked_of_a_run_that_is_being_stopped() -> None:
    for state in (RunState.CANCELLING, RunState.FAILING):
        assert not [action for action, states in CONTROLS.items() if state in states]
