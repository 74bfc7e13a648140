"""Alert rules: what numbers mean, and how an alert moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitoring.domain import rules
from monitoring.domain.anomaly.detector import Settings
from monitoring.domain.rules import AlertState, Judgement, Standing, step

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
P, F, N, R = AlertState.PENDING, AlertState.FIRING, AlertState.NO_DATA, AlertState.RESOLVED
BREACH, HOLD, CLEAR, NONE = Judgement.BREACH, Judgement.HOLD, Judgement.CLEAR, Judgement.NO_DATA
FEW = Judgement.FEW


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # One judgement a minute; a breach must last two minutes, being clear three.
        ([CLEAR, NONE, HOLD], [None, None, None]),
        ([BREACH, BREACH, BREACH], [P, P, F]),
        ([BREACH, CLEAR, BREACH], [P, None, P]),  # it never fired
        ([BREACH, NONE, BREACH], [P, P, F]),  # a gap does not restart the clock
        ([BREACH, HOLD, BREACH], [P, P, F]),
        ([BREACH] * 3 + [CLEAR] * 4, [P, P, F, F, F, F, R]),
        ([BREACH] * 3 + [CLEAR, HOLD, CLEAR, CLEAR, CLEAR], [P, P, F, F, F, F, F, F]),  # hysteresis
        ([BREACH] * 3 + [CLEAR, BREACH, CLEAR], [P, P, F, F, F, F]),
        ([BREACH] * 3 + [NONE, NONE, NONE, NONE], [P, P, F, N, N, N, N]),  # silence heals nothing
        ([BREACH] * 3 + [NONE, BREACH], [P, P, F, N, F]),
        ([BREACH] * 3 + [NONE] + [CLEAR] * 4, [P, P, F, N, F, F, F, R]),
        ([BREACH] * 3 + [NONE] * 2 + [CLEAR] * 2, [P, P, F, N, N, F, F]),  # clear from then on only
        ([FEW], [None]),
        ([BREACH, FEW, BREACH], [P, None, P]),
        ([BREACH] * 3 + [FEW] * 6, [P, P, F, F, F, F, F, F, R]),  # for longer than enough would
        ([BREACH] * 3 + [FEW, NONE, NONE] * 2, [P, P, F, F, N, N, F, N, N]),  # calls far apart …
        ([BREACH] * 3 + [FEW, NONE, NONE, FEW, NONE, FEW], [P, P, F, F, N, N, F, N, R]),  # … end it
    ],
)
def test_an_alert_moves_by_what_is_judged(
    told: list[Judgement], expected: list[AlertState | None]
) -> None:
    standing: Standing | None = None
    states = []
    for minute, judgement in enumerate(told):
        standing = step(
            standing, judgement, now=T + minutes(minute), pending_for=minutes(2),
            resolve_after=minutes(3), few_for=minutes(5),
        )  # fmt: skip
        states.append(standing and standing.state)
    assert states == expected


def test_an_alert_of_which_nothing_is_measured_for_hours_is_given_up() -> None:
    standing: Standing | None = Standing(F, T)
    for hour in range(7):
        standing = step(standing, NONE, now=T + timedelta(hours=hour),
                        pending_for=minutes(0), resolve_after=minutes(0))  # fmt: skip
        assert standing is not None and standing.state is (N if hour < 6 else R)


def test_without_patience_the_first_breach_fires() -> None:
    standing = step(None, BREACH, now=T, pending_for=minutes(0), resolve_after=minutes(0))
    assert standing is not None
    assert standing.state is F
    standing = step(standing, CLEAR, now=T, pending_for=minutes(0), resolve_after=minutes(0))
    assert standing is not None
    assert standing.state is R


@pytest.mark.parametrize(
    ("value", "above", "judgement", "critical"),
    [
        (0.04, True, HOLD, False), (0.02, True, CLEAR, False), (0.03, True, CLEAR, False),
        (0.05, True, HOLD, False), (0.06, True, BREACH, False), (0.2, True, BREACH, True),
        (None, True, NONE, False),
    ],
)  # fmt: skip
def test_between_limit_and_clear_nothing_changes(
    value: float | None, above: bool, judgement: Judgement, critical: bool
) -> None:
    found = rules.over_limit(value, 0.05, above=above, clear=0.03, critical=0.1)
    assert (found.judgement, found.is_critical) == (judgement, critical)


def test_below_can_be_bad_too() -> None:
    assert rules.over_limit(0.80, 0.9, above=False, clear=0.95).judgement is BREACH
    assert rules.over_limit(0.93, 0.9, above=False, clear=0.95).judgement is HOLD
    assert rules.over_limit(0.96, 0.9, above=False, clear=0.95).judgement is CLEAR


@pytest.mark.parametrize(
    ("value", "baseline", "judgement"),
    [(1.6, 1.0, BREACH), (1.4, 1.0, CLEAR), (1.6, None, NONE), (1.6, 0.0, NONE), (None, 1.0, NONE)],
)
def test_a_value_is_compared_with_its_own_past(
    value: float | None, baseline: float | None, judgement: Judgement
) -> None:
    assert rules.against_baseline(value, baseline, 1.5).judgement is judgement


@pytest.mark.parametrize(
    ("short", "long", "judgement"),
    [
        (0.02, 0.02, BREACH),
        (0.0, 0.02, CLEAR),  # it is over
        (0.02, 0.0, CLEAR),  # a blip
        (None, 0.02, NONE),
    ],
)
def test_a_budget_burns_when_both_windows_say_so(
    short: float | None, long: float | None, judgement: Judgement
) -> None:
    found = rules.burn_rate(short, long, target=0.999, factor=14.4)
    assert found.judgement is judgement


def test_a_promise_of_everything_has_no_budget() -> None:
    with pytest.raises(ValueError, match="target"):
        rules.burn_rate(0.0, 0.0, target=1.0, factor=2)


def test_a_spike_is_an_anomaly_and_the_usual_is_not() -> None:
    values = list(10 + np.random.default_rng(5).normal(0, 1, 600))
    times = [300.0 * n for n in range(600)]
    calm = rules.anomalous(times, values, recent=2, settings=Settings())
    assert calm.judgement is CLEAR
    spiky = rules.anomalous(times, [*values[:-1], 60.0], recent=2, settings=Settings())
    assert (spiky.judgement, spiky.value) == (BREACH, 60.0)
    short = rules.anomalous(times[:20], values[:20], recent=2, settings=Settings())
    assert short.judgement is NONE


def test_a_rising_line_is_told_before_it_crosses() -> None:
    values = [1.0 + 0.01 * n for n in range(90)]
    found = rules.will_breach(values, 2.0, above=True, horizon=24, row_seconds=3600)
    assert found.judgement is BREACH
    assert "breaches in about" in found.why
    flat = rules.will_breach([1.0] * 90, 2.0, above=True, horizon=24, row_seconds=3600)
    assert flat.judgement is CLEAR
    assert (
        rules.will_breach([1.0] * 5, 2.0, above=True, horizon=24, row_seconds=1).judgement is NONE
    )


def test_hours_without_a_value_count_as_time_in_a_forecast() -> None:
    """Measured every other hour, the same line takes as many hours of the clock."""
    whole = [1.0 + 0.01 * n for n in range(90)]
    halves = [value if n % 2 else None for n, value in enumerate(whole)]
    for values, hours in ((whole, 13), (halves, 12)):  # the line crosses after 11
        found = rules.will_breach(values, 2.0, above=True, horizon=24, row_seconds=3600)
        assert found.why.startswith(f"breaches in about {hours} h")
    nothing = rules.will_breach([None] * 90, 2.0, above=True, horizon=24, row_seconds=3600)
    assert nothing.judgement is NONE


def test_silence_is_told_only_where_something_used_to_come() -> None:
    assert rules.silent(0, 40).judgement is BREACH
    assert rules.silent(3, 40).judgement is CLEAR
    assert rules.silent(0, 0).judgement is NONE
