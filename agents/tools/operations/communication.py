"""What a client letter rests on: reminder dates, and interest on late payment."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agents.tools.amounts import Positive, cents
from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# First reminder, second, call by the manager, escalation to the partner: days before the deadline.
REMINDERS = ((28, "first reminder"), (14, "second reminder"), (7, "call"), (2, "escalation"))
SATURDAY = 5

# Late Payment of Commercial Debts (Interest) Act 1998 s.5A, 6: base rate plus 8 points, and a
# fixed sum. Written from general knowledge as of 2026-01-01; verify before use.
STATUTORY_POINTS = Decimal(8)
FIXED_SUMS = ((Decimal(10_000), 100), (Decimal(1_000), 70), (Decimal(0), 40))


class RequestedItem(BaseModel):
    """A document asked of the client."""

    model_config = ConfigDict(extra="forbid")
    item: str
    requested_on: date
    received_on: date | None = None
    essential: bool = True


@tool("operations.reminder_schedule", light=True)
def reminder_schedule(
    requested_items: Annotated[list[RequestedItem], Field(min_length=1, max_length=500)],
    needed_by: Annotated[date, Field(description="day on which work starts")],
    as_of: date,
) -> outputs.ReminderSchedule:
    """What is outstanding, for how long, and on which working days to remind.

    Reminders lie 28, 14, 7 and 2 days before ``needed_by``; a weekend moves one to the Friday
    before, and those in the past are left out.
    """
    outstanding = [item for item in requested_items if item.received_on is None]
    for item in requested_items:
        if item.requested_on > as_of:
            raise InvalidInput("requested_items", item.requested_on.isoformat(), f"<= {as_of}")
    dates = [(_working_day(needed_by - timedelta(days=days)), kind) for days, kind in REMINDERS]
    coming = [(day, kind) for day, kind in dates if day >= as_of] if outstanding else []
    ages = [(as_of - item.requested_on).days for item in outstanding]
    essential = sum(item.essential for item in outstanding)
    received = len(requested_items) - len(outstanding)
    return {
        "outstanding_items": [
            {"item": item.item, "days_waiting": age, "essential": item.essential}
            for item, age in zip(outstanding, ages, strict=True)
        ],
        "items_outstanding": len(outstanding),
        "essential_outstanding": essential,
        "received_percent": cents(Decimal(received) / len(requested_items) * 100),
        "longest_wait_days": max(ages, default=0),
        "days_to_start": (needed_by - as_of).days,
        "reminders": [{"remind_on": day.isoformat(), "step": kind} for day, kind in coming],
        "next_reminder": _next(coming, needed_by, as_of, bool(outstanding)),
        "tone": _tone(essential, (needed_by - as_of).days, bool(outstanding)),
    }


def _working_day(day: date) -> date:
    return day - timedelta(days=max(day.weekday() - SATURDAY + 1, 0))


def _next(coming: list[tuple[date, str]], needed: date, as_of: date, waiting: bool) -> str:
    if not waiting:
        return "none: everything has arrived"
    if coming:
        return f"{coming[0][1]} on {coming[0][0].isoformat()}"
    return "deadline passed: partner calls today" if as_of > needed else "partner calls today"


def _tone(essential: int, days: int, waiting: bool) -> str:
    if not waiting:
        return "thank the client"
    if days < 0:
        return "firm: the start is already delayed"
    return "urgent but friendly" if essential and days <= 14 else "friendly"


@tool("operations.late_payment_interest", light=True)
def late_payment_interest(
    invoice_amount: Positive,
    due_date: date,
    as_of: date,
    base_rate_percent: Annotated[Decimal, Field(ge=0, le=30, description="Bank of England rate")],
) -> outputs.LatePaymentInterest:
    """Statutory interest and fixed compensation on an unpaid business invoice.

    Simple interest at base rate plus 8 points on 365 days, and 40, 70 or 100 by size of debt.
    Source: Late Payment of Commercial Debts (Interest) Act 1998 s.4-6.
    """
    days = max((as_of - due_date).days, 0)
    rate = base_rate_percent + STATUTORY_POINTS
    interest = invoice_amount * rate / 100 * days / 365
    fixed = next(amount for floor, amount in FIXED_SUMS if invoice_amount >= floor) if days else 0
    return {
        "days_overdue": days,
        "statutory_rate_percent": cents(rate),
        "daily_interest": cents(invoice_amount * rate / 100 / 365),
        "interest_to_date": cents(interest),
        "fixed_compensation": fixed,
        "total_claim": cents(invoice_amount + interest + fixed),
        "payment_verdict": "overdue: interest may be claimed" if days else "not yet overdue",
    }
