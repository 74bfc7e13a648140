"""Staffing, utilisation, work in progress, lock-up, month-end tools."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools import registry
from config.errors import InvalidInput


def call(tool: str, **arguments: Any) -> Any:
    return registry.get(f"operations.{tool}").call(arguments)


def member(code: str, grade: str, free: float, cost: float) -> dict[str, Any]:
    return {"code": code, "grade": grade, "capacity_hours": free, "hourly_cost": cost}


TEAM = [
    member("P", "partner", 10, 200),
    member("A", "associate", 50, 50),
    member("S", "senior", 20, 80),
]


def staff(*tasks: tuple[str, float], team: list[dict[str, Any]] | None = None) -> Any:
    rows = [{"task": f"t{i}", "grade": grade, "hours": h} for i, (grade, h) in enumerate(tasks)]
    return call("staff_engagement", tasks=rows, team=team or TEAM, engagement_fee=10_000)


def test_work_goes_to_the_lowest_sufficient_grade():
    result = staff(("associate", 60))
    assert result["engagement_cost"] == 50 * 50 + 10 * 80


def test_scarce_grades_are_kept_for_work_that_needs_them():
    # Listed last, the partner's hours are still not spent on the associate's overflow.
    result = staff(("associate", 75), ("partner", 10))
    assert (result["hours_unfilled"], result["hours_assigned"]) == (5.0, 80.0)


def test_booked_hours_are_not_given_out_again():
    busy = [{**TEAM[1], "booked_hours": 48}]
    assert staff(("associate", 5), team=busy)["hours_unfilled"] == 3.0


def test_the_same_person_twice_is_refused():
    with pytest.raises(InvalidInput, match="stands once"):
        staff(("associate", 5), team=[TEAM[0], TEAM[0]])


def test_utilisation_leaves_out_leave():
    sheet = {"code": "A", "contracted_hours": 100, "chargeable_hours": 60, "leave_hours": 20}
    result = call("utilisation", timesheets=[sheet], target_percent=75)
    assert result["team_utilisation_percent"] == 75.0
    assert (result["total_unrecorded_hours"], result["people_below_target"]) == (20.0, 0)


def entry(day: str, hours: float = 10, rate: float = 100) -> dict[str, Any]:
    return {"worked_on": day, "hours": hours, "standard_rate": rate}


@pytest.mark.parametrize(
    ("worked_on", "provision"),
    [
        ("2025-11-01", 0.0),  # 60 days
        ("2025-10-31", 100.0),  # 61 days
        ("2025-09-30", 250.0),
        ("2025-08-31", 500.0),
        ("2025-07-04", 500.0),  # 180 days
        ("2025-07-03", 1000.0),
    ],
)
def test_old_time_is_provided_for_in_bands(worked_on, provision):
    result = call(
        "work_in_progress", time_entries=[entry(worked_on)], as_of="2025-12-31", agreed_fee=5000
    )
    assert result["wip_provision"] == provision


def test_an_overrun_is_provided_for_at_once():
    result = call(
        "work_in_progress",
        time_entries=[entry("2025-12-30")],
        as_of="2025-12-31",
        agreed_fee=1500,
        already_billed=700,
    )
    assert (result["fee_overrun"], result["net_wip"]) == (200.0, 800.0)


def test_time_from_the_future_is_refused():
    with pytest.raises(InvalidInput, match="worked_on"):
        call(
            "work_in_progress", time_entries=[entry("2026-01-01")], as_of="2025-12-31", agreed_fee=1
        )


def test_lock_up_adds_days_and_prices_the_excess():
    result = call(
        "lock_up",
        unbilled_wip=100_000,
        trade_debtors=150_000,
        annual_fee_income=730_000,
        target_lock_up_days=75,
        borrowing_rate_percent=5,
    )
    assert (result["wip_days"], result["debtor_days"]) == (50.0, 75.0)
    assert (result["cash_released_at_target"], result["annual_financing_cost"]) == (100000, 5000)


def close(*tasks: tuple[str, float, list[str]]) -> Any:
    rows = [{"task": name, "hours": hours, "after": after} for name, hours, after in tasks]
    return call("close_plan", close_tasks=rows)


def test_the_longest_chain_decides_the_close():
    result = close(
        ("accruals", 6, ["cut-off"]), ("cut-off", 4, []), ("bank", 9, []), ("report", 8, ["bank"])
    )
    assert (result["close_hours"], result["critical_path"]) == (17.0, "bank > report")


@pytest.mark.parametrize("after", [["b"], ["nowhere"]])
def test_a_close_that_waits_for_itself_or_nothing_is_refused(after):
    with pytest.raises(InvalidInput, match="no cycles"):
        close(("a", 1, after), ("b", 1, ["a"]))


def test_a_movement_is_explained_when_it_passes_both_thresholds():
    rows = [("a", 1200, 1000), ("b", 10900, 10000), ("c", 60, 10), ("d", 900, 0)]
    result = call(
        "flux_analysis",
        movements=[{"account": n, "current": c, "prior": p} for n, c, p in rows],
        amount_threshold=100,
        percent_threshold=10,
    )
    assert [row["account"] for row in result["to_explain"]] == ["d", "a"]


@pytest.mark.parametrize(("difference", "tied"), [(0, True), (5, True), (-5, True), (5.01, False)])
def test_a_subledger_ties_within_its_tolerance(difference, tied):
    line = {"name": "debtors", "subledger_total": 100 + difference, "control_account": 100}
    assert call("tie_out_subledger", subledger=line, tolerance=5)["tied"] is tied
