"""Verdicts by table."""

from __future__ import annotations

import pytest

from learning.domain.decisions import ArmReading, GuardReading, Progress, decide

RIPE = Progress(units=2000, days=14, planned_units=2000)


def reading(primary, *guards, arm="b", effect=0.1):
    return ArmReading(
        arm, primary, effect, [GuardReading(f"g{i}", state) for i, state in enumerate(guards)]
    )


@pytest.mark.parametrize(
    ("arms", "progress", "mismatch", "horizon", "kind", "words"),
    [
        ([reading("better", "holds")], RIPE, False, "any_time", "ship", "Ship b"),
        ([reading("better", "breached")], RIPE, False, "any_time", "rollback", "Guardrail failing"),
        ([reading("better", "open")], RIPE, False, "any_time", "review", "not yet shown to hold"),
        ([reading("worse")], RIPE, False, "any_time", "rollback", "Roll back"),
        ([reading("worse")], RIPE, False, "ahead", "rollback", "Roll back"),
        ([reading("unclear")], RIPE, False, "any_time", "inconclusive", "keep the control"),
        ([reading("better")], RIPE, True, "any_time", "review", "don't read this"),
        ([reading("worse")], RIPE, True, "any_time", "review", "don't read this"),
        ([reading("better")], RIPE, False, "undeclared", "review", "no end was declared"),
        ([reading("better")], Progress(0), False, "any_time", "inconclusive", "No data"),
        ([], RIPE, False, "any_time", "inconclusive", "No data"),
        ([reading("better")], Progress(50, days=7), False, "any_time", "inconclusive", "7 more"),
        ([reading("worse")], Progress(99, days=1), False, "any_time", "inconclusive", "13 more"),
        ([reading("better")], Progress(500, days=11), False, "any_time", "inconclusive",
         "3 more days"),
        ([reading("worse")], Progress(500, days=2), False, "any_time", "rollback", "Roll back"),
        ([reading("better")], Progress(500), False, "any_time", "ship", "Ship b"),
        ([reading("unreadable")], RIPE, False, "any_time", "inconclusive", "can't be read"),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_readings(arms, progress, mismatch, horizon, kind, words):
    verdict = decide(arms, progress, mismatch=mismatch, horizon=horizon)
    assert verdict.kind == kind and words in verdict.headline


def test_the_best_of_the_sound_arms_ships_and_the_harmful_one_stops():
    arms = [
        reading("better", arm="b", effect=0.1),
        reading("better", arm="c", effect=0.2),
        reading("better", "breached", arm="d", effect=0.9),
    ]
    verdict = decide(arms, RIPE, mismatch=False, horizon="any_time")
    assert (verdict.kind, verdict.arm, verdict.stop_arms) == ("ship", "c", ("d",))


def test_days_left_reach_both_minima_and_the_plan_at_the_present_pace():
    assert Progress(100, days=4, planned_units=500).days_left == 16
    assert Progress(1000, days=4, planned_units=500).days_left == 10
    assert Progress(1000).days_left is None
