"""Who works on what: allocation of hours by grade and cost, and utilisation."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Positive, cents, percent, share
from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

Grade = Literal["associate", "senior", "manager", "partner"]
RANK: dict[str, int] = {"associate": 1, "senior": 2, "manager": 3, "partner": 4}
Hours = Annotated[Decimal, Field(ge=0, le=100_000, description="hours")]

# Above this share of capacity, people have no room left for a surprise.
OVERLOAD = Decimal("0.95")


class Task(BaseModel):
    """Hours of work that need at least ``grade``."""

    model_config = ConfigDict(extra="forbid")
    task: str
    grade: Grade
    hours: Hours


class Member(BaseModel):
    """A person by code; capacity and hours booked elsewhere are of the same period."""

    model_config = ConfigDict(extra="forbid")
    code: str
    grade: Grade
    capacity_hours: Hours
    booked_hours: Hours = Decimal(0)
    hourly_cost: Positive


@dataclass(slots=True)
class _Free:
    member: Member
    hours: Decimal


@tool("operations.staff_engagement", light=True)
def staff_engagement(
    tasks: Annotated[list[Task], Field(min_length=1, max_length=500)],
    team: Annotated[list[Member], Field(min_length=1, max_length=500)],
    engagement_fee: Annotated[Positive, Field(description="agreed fee of the engagement")],
) -> outputs.StaffEngagement:
    """Allocate tasks to the lowest sufficient grade, cheapest first, and the margin that is left.

    Tasks of the highest grade are placed first, so that managers are not spent on work that
    associates may do. Each grade may do all work of the grades below; because skills are nested
    so, no other allocation staffs more hours.
    """
    _unique([member.code for member in team])
    free = [
        _Free(member, max(member.capacity_hours - member.booked_hours, Decimal(0)))
        for member in team
    ]
    free.sort(key=lambda one: (RANK[one.member.grade], one.member.hourly_cost, one.member.code))
    rows: list[dict[str, object]] = []
    cost, unfilled = Decimal(0), Decimal(0)
    for task in sorted(tasks, key=lambda one: -RANK[one.grade]):
        left = task.hours
        for one in free:
            if left == 0 or RANK[one.member.grade] < RANK[task.grade] or one.hours == 0:
                continue
            taken = min(left, one.hours)
            one.hours, left = one.hours - taken, left - taken
            cost += taken * one.member.hourly_cost
            rows.append({"task": task.task, "assigned_to": one.member.code, "hours": float(taken)})
        unfilled += left
    asked = sum((task.hours for task in tasks), Decimal(0))
    loads = [_load(one) for one in free]
    return {
        "assignments": rows,
        "hours_assigned": cents(asked - unfilled),
        "hours_unfilled": cents(unfilled),
        "engagement_cost": cents(cost),
        "engagement_margin": cents(engagement_fee - cost),
        "margin_percent": percent(share(engagement_fee - cost, engagement_fee)),
        "team_loads": [
            {"person": one.member.code, "load_percent": percent(load)}
            for one, load in zip(free, loads, strict=True)
        ],
        "overloaded_people": sum(load > OVERLOAD for load in loads),
        "staffing_verdict": "every hour is staffed"
        if unfilled == 0
        else "hours remain unfilled: borrow staff or move the deadline",
    }


def _load(one: _Free) -> Decimal:
    capacity = one.member.capacity_hours
    return share(max(capacity - one.hours, one.member.booked_hours), capacity)


def _unique(codes: list[str]) -> None:
    if len(set(codes)) != len(codes):
        raise InvalidInput("team", codes, "each code stands once")


class Timesheet(BaseModel):
    """Hours of one person in a period; ``leave_hours`` reduce what was available."""

    model_config = ConfigDict(extra="forbid")
    code: str
    contracted_hours: Hours
    chargeable_hours: Hours
    internal_hours: Hours = Decimal(0)
    leave_hours: Hours = Decimal(0)


@tool("operations.utilisation", light=True)
def utilisation(
    timesheets: Annotated[list[Timesheet], Field(min_length=1, max_length=2000)],
    target_percent: Annotated[Decimal, Field(ge=1, le=100)] = Decimal(75),
) -> outputs.Utilisation:
    """Chargeable over available hours of each person and the team, beside the target.

    Available is contracted less leave; unrecorded is available less all recorded hours.
    """
    rows: list[dict[str, object]] = []
    chargeable, available, unrecorded, below = Decimal(0), Decimal(0), Decimal(0), 0
    for sheet in timesheets:
        if sheet.leave_hours > sheet.contracted_hours:
            raise InvalidInput("timesheets.leave_hours", sheet.leave_hours, "at most contracted")
        own = sheet.contracted_hours - sheet.leave_hours
        ratio = share(sheet.chargeable_hours, own)
        missing = max(own - sheet.chargeable_hours - sheet.internal_hours, Decimal(0))
        below += ratio * 100 < target_percent
        chargeable, available = chargeable + sheet.chargeable_hours, available + own
        unrecorded += missing
        rows.append(
            {
                "person": sheet.code,
                "utilisation_percent": percent(ratio),
                "unrecorded_hours": cents(missing),
            }
        )
    gap = max(available * target_percent / 100 - chargeable, Decimal(0))
    return {
        "utilisation": rows,
        "team_utilisation_percent": percent(share(chargeable, available)),
        "people_below_target": below,
        "hours_short_of_target": cents(gap),
        "total_unrecorded_hours": cents(unrecorded),
        "utilisation_verdict": "target reached" if gap == 0 else "below target",
    }
