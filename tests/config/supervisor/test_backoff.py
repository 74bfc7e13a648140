"""How long a dead process waits."""

from __future__ import annotations

import pytest

from config.supervisor.backoff import CAP_SECONDS, failures_in_a_row, restart_delay


@pytest.mark.parametrize(
    ("failures", "jitter", "expected"),
    [(1, 0.0, 0.25), (1, 1.0, 0.5), (2, 1.0, 1.0), (4, 1.0, 4.0), (50, 1.0, CAP_SECONDS)],
)
def test_each_death_in_a_row_doubles_the_wait_up_to_the_cap(
    failures: int, jitter: float, expected: float
) -> None:
    assert restart_delay(failures, jitter=jitter) == expected


def test_the_wait_never_shrinks_with_more_deaths_and_never_overflows() -> None:
    waits = [restart_delay(n, jitter=0.5) for n in range(1, 3000)]
    assert waits == sorted(waits)


def test_a_count_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        restart_delay(0, jitter=0.0)


def test_who_lived_a_minute_starts_a_new_count() -> None:
    assert failures_in_a_row(5, lived_seconds=1.0) == 6
    assert failures_in_a_row(5, lived_seconds=60.0) == 1
